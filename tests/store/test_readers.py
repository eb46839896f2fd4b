"""Long reads: beside the one connection that writes, and never in its way."""

import threading
from pathlib import Path

import apsw
import pytest
import trio

from paynode.store import database as databases
from paynode.store.database import Tx
from paynode.store.readers import Readers


def mode(tx: Tx) -> tuple[str, int]:
    row = tx.row("select count(*) from stores")
    assert row is not None
    return threading.current_thread().name, row[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    databases.create(tmp_path / "paynode.db")
    return tmp_path / "paynode.db"


async def test_a_long_read_is_in_a_thread_and_keeps_nobody_from_writing(path: Path) -> None:
    """Method: the read waits, inside its transaction, for a write that is made meanwhile, and does not see it."""
    database = databases.open(path)
    started, written = trio.Event(), threading.Event()

    def long_read(tx: Tx) -> tuple[int, int]:
        before = mode(tx)[1]
        trio.from_thread.run_sync(started.set)
        assert written.wait(60)
        return before, mode(tx)[1]

    found: list[tuple[int, int]] = []

    async def read() -> None:
        found.append(await Readers(database).read(long_read))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await started.wait()
        database.write(lambda tx: tx.run("insert into stores values ('sto_1', 'main', 0, 0)"))
        written.set()
    assert found == [(0, 0)]
    assert await Readers(database).read(lambda tx: mode(tx)[1]) == 1
    database.close()


async def test_a_reader_cannot_write_and_is_used_again_after_an_error(path: Path) -> None:
    database = databases.open(path)
    readers = Readers(database)
    with pytest.raises(apsw.ReadOnlyError):
        await readers.read(lambda tx: tx.run("delete from stores"))
    name, count = await readers.read(mode)
    assert (name != threading.main_thread().name, count) == (True, 0)
    assert len(database._readers) == 1
    database.close()


async def test_a_database_in_memory_is_read_where_it_is() -> None:
    database = databases.in_memory()
    assert await Readers(database).read(mode) == (threading.current_thread().name, 0)
    database.close()
