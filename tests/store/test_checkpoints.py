"""Checkpoints: the newest is the cursor, many are kept near it and one an hour far below."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from paynode.domain.chain import BlockRef
from paynode.store import chain
from paynode.store import database as databases
from paynode.store.chain import CHECKPOINT_SPARSE, CHECKPOINTS_KEPT
from paynode.store.database import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database() -> Database:
    return databases.in_memory()


def block(number: int, seconds: int = 0) -> BlockRef:
    return BlockRef(number, f"0x{number:064x}", NOW + timedelta(seconds=seconds or number * 2))


def test_the_newest_is_the_cursor(database: Database) -> None:
    assert database.read(chain.cursor, "eth") is None
    for number in (1, 5, 9):
        database.write(chain.add_checkpoint, "eth", block(number))
    assert database.read(chain.cursor, "eth") == block(9)
    assert database.read(chain.checkpoints, "eth") == [block(9), block(5), block(1)]
    assert database.read(chain.cursor, "base") is None


def test_those_above_a_fork_go(database: Database) -> None:
    for number in (1, 5, 9):
        database.write(chain.add_checkpoint, "eth", block(number))
    database.write(chain.fork_at, "eth", 5)
    assert database.read(chain.cursor, "eth") == block(5)


def test_far_below_one_an_hour_is_kept(database: Database) -> None:
    """Six hours of a checkpoint every 20 seconds."""
    total = 6 * 180
    for number in range(1, total + 1):
        database.write(chain.add_checkpoint, "eth", block(number, number * 20))
    kept = database.read(chain.checkpoints, "eth")
    near, far = kept[:CHECKPOINTS_KEPT], kept[CHECKPOINTS_KEPT:]
    assert [one.number for one in near] == list(range(total, total - CHECKPOINTS_KEPT, -1))
    assert 4 <= len(far) <= 7
    assert all(newer.at - older.at >= CHECKPOINT_SPARSE for newer, older in pairwise(far[1:]))
    assert far[-1].number == 1
