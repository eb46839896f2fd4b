"""Checkpoints: the newest is the cursor, many are kept near it and one an hour far below."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.chain import BlockRef, Pair
from paynode.store import chain, watches
from paynode.store import database as databases
from paynode.store.chain import CHECKPOINT_AGE_MAX, CHECKPOINT_SPARSE, CHECKPOINTS_KEPT
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


def test_below_the_newest_only_those_of_all_addresses_are_kept(database: Database) -> None:
    """Two hours of a look every 2 seconds, each 300th of them wide."""
    total = 3_600
    for number in range(1, total + 1):
        database.write(chain.add_checkpoint, "eth", block(number), is_wide=number % 300 == 0)
    far = database.read(chain.checkpoints, "eth")[CHECKPOINTS_KEPT:]
    assert [one.number for one in far] == [3300, 2100, 300]
    assert database.read(chain.wide_numbers, "eth") == {3600, 3300, 2100, 300}


def test_what_is_older_than_a_month_goes(database: Database) -> None:
    for number in range(1, 2 * CHECKPOINTS_KEPT):
        database.write(chain.add_checkpoint, "eth", block(number, number * 2 * 3600))
    kept = database.read(chain.checkpoints, "eth")
    assert kept[0].at - kept[-1].at <= CHECKPOINT_AGE_MAX
    assert len(kept) == CHECKPOINT_AGE_MAX // timedelta(hours=2) + 1


async def test_a_watch_that_was_closed_on_a_fork_is_open_again(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.mine(5)
    address = node.address(node.create())
    for floor, is_open in ((4, False), (3, True)):
        node.database.write(watches.set_floors, "alpha", {Pair(address, "alpha_usdt"): 4})
        node.database.write(watches.close, "alpha", [address])
        node.database.write(chain.fork_at, "alpha", floor)
        watch = node.database.read(watches.watch, "alpha", address)
        assert watch is not None
        assert watch.is_closed is not is_open
