"""The one file: made once, opened only if it is ours and whole, and changed by whole transactions (I24)."""

import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import apsw
import pytest
import trio

from paynode.store import database as databases
from paynode.store.database import Database, DatabaseProblem, Tx


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "paynode.db"
    databases.create(path)
    return path


def fill(database: Database, count: int = 400) -> None:
    """Rows enough for many pages."""

    def insert(tx: Tx) -> None:
        tx.run_many(
            "insert into rates (base, quote, at, value, source) values ('usdt', 'USD', ?, '1', ?)",
            [(number, "x" * 500) for number in range(count)],
        )

    database.write(insert)


def count(database: Database) -> int:
    [(found,)] = database.read(lambda tx: tx.rows("select count(*) from rates"))
    return int(found)


def test_a_new_database_is_ours_whole_and_private(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["paynode.db"]
    database = databases.open(path)
    pragmas = ["application_id", "journal_mode", "synchronous", "foreign_keys", "trusted_schema"]
    found = [database.read(lambda tx, name=name: tx.row(f"pragma {name}")) for name in pragmas]
    assert found == [(databases.APPLICATION_ID,), ("wal",), (2,), (1,), (0,)]
    database.close()


def test_a_database_is_made_only_once(path: Path) -> None:
    with pytest.raises(DatabaseProblem, match="made only once"):
        databases.create(path)


def test_a_making_that_was_cut_off_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "paynode.db"
    (tmp_path / "paynode.db.new").write_bytes(b"half of one")
    (tmp_path / "paynode.db.new-wal").write_bytes(b"and its log")
    databases.create(path)
    databases.open(path).close()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["paynode.db"]


def test_a_making_that_fails_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "paynode.db"
    monkeypatch.setattr(databases, "_migrations", lambda: ["create table a (b integer) strict;", "create nonsense"])
    with pytest.raises(apsw.SQLError):
        databases.create(path)
    assert not path.exists()


def test_a_missing_database_is_never_replaced_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "paynode.db"
    with pytest.raises(DatabaseProblem, match="There is no database"):
        databases.open(path)
    assert not path.exists()


def _zero(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("not a database at all " * 500)


def _truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _flip_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3] ^= 0xFF
    path.write_bytes(content)


def _flip_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for position in range(4096, len(content), 4096):
        content[position] ^= 0xFF  # the type of each b-tree page
    path.write_bytes(content)


def _other_program(path: Path) -> None:
    path.unlink()
    connection = apsw.Connection(str(path))
    connection.execute("create table t (a)")
    connection.close()


def _newer(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("pragma user_version = 9999")
    connection.close()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_zero, "not a paynode database"),
        (_text, "damaged or not a database"),
        (_truncate, "damaged"),
        (_flip_header, "damaged or not a database"),
        (_flip_pages, "damaged"),
        (_other_program, "not a paynode database"),
        (_newer, "newer paynode"),
    ],
)
def test_what_is_foreign_newer_or_damaged_is_refused_and_left_as_it_is(
    path: Path, harm: Callable[[Path], None], told: str
) -> None:
    database = databases.open(path)
    fill(database)
    database.close()
    harm(path)
    before = path.read_bytes()
    with pytest.raises(DatabaseProblem, match=told) as refused:
        databases.open(path)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == before


def test_a_database_whose_log_is_lost_is_still_whole(path: Path) -> None:
    """As after a copy without its -wal: what it had at its last checkpoint, never a mixture."""
    database = databases.open(path)
    fill(database)
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    database.close()
    opened = databases.open(copy)
    assert count(opened) == 0
    opened.close()


def test_a_database_of_a_killed_process_has_all_that_was_committed(path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from paynode.store import database\n"
        "db = database.open(pathlib.Path(sys.argv[1]))\n"
        "sql = \"insert into rates (base, quote, at, value, source) values ('usdt', 'USD', ?, '1', 'test')\"\n"
        "for number in range(5):\n"
        "    db.write(lambda tx, number=number: tx.run(sql, (number,)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    database = databases.open(path)
    assert count(database) == 5
    database.close()


def test_each_migration_is_a_transaction_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = databases._migrations()
    good, bad = "create table later (a integer) strict;", "create table half (a integer) strict; create nonsense;"
    monkeypatch.setattr(databases, "_migrations", lambda: [*real, good, bad])
    with pytest.raises(DatabaseProblem):
        databases.open(path)
    monkeypatch.setattr(databases, "_migrations", lambda: [*real, good])
    database = databases.open(path)
    names = [name for (name,) in database.read(lambda tx: tx.rows("select name from sqlite_schema"))]
    assert "later" in names
    assert "half" not in names
    assert database.read(lambda tx: tx.row("pragma user_version")) == (len(real) + 1,)
    database.close()


def test_migrations_are_numbered_without_gap_or_twin() -> None:
    names = sorted(
        file.name for file in (files("paynode.store") / "migrations").iterdir() if file.name.endswith(".sql")
    )
    assert [name.partition("_")[0] for name in names] == [f"{number:04d}" for number in range(1, len(names) + 1)]


def test_a_migration_is_applied_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = databases._migrations()
    monkeypatch.setattr(databases, "_migrations", lambda: [*real, "create table later (a integer) strict;"])
    for _ in range(2):
        databases.open(path).close()


def test_a_command_does_not_migrate_below_a_running_daemon(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = databases._migrations()
    monkeypatch.setattr(databases, "_migrations", lambda: [*real, "create table later (a integer) strict;"])
    with pytest.raises(DatabaseProblem, match="older schema"):
        databases.open(path, migrate=False)


def test_an_operation_that_raises_leaves_nothing_and_rings_nothing() -> None:
    database = databases.in_memory()

    def broken(tx: Tx) -> None:
        tx.run("insert into rates (base, quote, at, value, source) values ('a', 'b', 1, '1', 'test')")
        tx.ring("bell")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        database.write(broken)
    assert count(database) == 0
    fill(database, 3)
    assert count(database) == 3


def test_a_crash_before_the_commit_undoes_and_one_after_it_does_not(path: Path) -> None:
    def crash() -> None:
        raise OSError("crash")

    for hooks, left in (({"before_commit": crash}, 0), ({"after_commit": crash}, 3)):
        database = databases.open(path, **hooks)
        with pytest.raises(OSError, match="crash"):
            fill(database, 3)
        database.close()
        database = databases.open(path)
        assert count(database) == left
        database.close()


async def test_bells_ring_after_the_commit_only(autojump_clock: trio.testing.MockClock) -> None:
    database = databases.in_memory()
    async with trio.open_nursery() as nursery:
        heard: list[bool] = []

        async def wait() -> None:
            heard.append(await database.bells.wait("bell", seconds=10))

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        database.write(lambda tx: tx.ring("bell"))
    assert heard == [True]
    assert await database.bells.wait("bell", seconds=1) is False


def test_amounts_outgrow_64_bits_and_come_back_exact() -> None:
    database = databases.in_memory()
    huge = str(2**256 - 1)
    database.write(
        lambda tx: tx.run("insert into rates (base, quote, at, value, source) values ('a', 'b', 1, ?, 'test')", (huge,))
    )
    assert database.read(lambda tx: tx.row("select value from rates")) == (huge,)


def test_a_number_where_text_belongs_is_refused_by_the_schema() -> None:
    database = databases.in_memory()
    with pytest.raises(apsw.ConstraintError):
        database.write(
            lambda tx: tx.run(
                "insert into rates (base, quote, at, value, source) values ('a', 'b', 'yesterday', '1', 'test')"
            )
        )
