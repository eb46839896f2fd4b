"""The one file: how it is made, opened, migrated, and written to.

    create()  makes it, once          open()  refuses whatever is not ours, whole and of a schema we know (I24)
    write()   runs an operation as one transaction; after the commit, the bells it touched ring

The daemon holds one connection and calls it on trio's thread: a statement takes microseconds, and no await can
stand inside a transaction. Commands use a short connection of their own and wait for the lock.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import apsw

from paynode.store import exact
from paynode.store.bells import Bells

APPLICATION_ID = 0x70_61_79_6E  # "payn", https://www.sqlite.org/pragma.html#pragma_application_id
SQLITE_VERSION_MIN = 3_051_003  # fixes a corruption when a write-ahead log is reset while it is read
TOKENIZER = ["unicode61", "remove_diacritics", "2"]  # as the migrations name it to FTS5
BUSY_MS = 5000  # a command's write takes milliseconds; the daemon's longest operation less than a second

# The disk does not take what is written: it is full, broken or read-only. The transaction was undone.
CANNOT_WRITE = (apsw.FullError, apsw.IOError, apsw.ReadOnlyError)
DISK_FULL = apsw.FullError  # room may be made at any time

P = ParamSpec("P")
R = TypeVar("R")
Value = str | int | bytes | None


class DatabaseProblem(Exception):
    """The file is missing, foreign, damaged or of a schema we do not know. The message says what to do."""


class Tx:
    """One open transaction: what an operation gets to run SQL with."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.rung: set[str] = set()

    def rows(self, sql: str, values: Mapping[str, Value] | tuple[Value, ...] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()

    def each(self, sql: str, values: Mapping[str, Value] | tuple[Value, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows one by one, as they are asked for; only while the transaction is open."""
        return self._connection.execute(sql, values)

    def row(self, sql: str, values: Mapping[str, Value] | tuple[Value, ...] = ()) -> tuple[Any, ...] | None:
        return self._connection.execute(sql, values).fetchone()

    def run(self, sql: str, values: Mapping[str, Value] | tuple[Value, ...] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        self._connection.execute(sql, values).fetchall()
        return self._connection.changes()

    def run_many(self, sql: str, values: Iterable[Mapping[str, Value] | tuple[Value, ...]]) -> None:
        for _ in self._connection.executemany(sql, values):
            pass

    def insert(self, sql: str, values: Mapping[str, Value] | tuple[Value, ...]) -> int:
        """Run one insert; returns the row's integer key."""
        self._connection.execute(sql, values).fetchall()
        return self._connection.last_insert_rowid()

    def words(self, text: str) -> list[str]:
        """The words of `text` as full-text search knows them."""
        tokenizer = self._connection.fts5_tokenizer(TOKENIZER[0], TOKENIZER[1:])
        found = tokenizer(text.encode(), apsw.FTS5_TOKENIZE_QUERY, None, include_offsets=False, include_colocated=False)
        return [str(word) for word in found]

    @property
    def is_open(self) -> bool:
        return self._connection.in_transaction

    def part(self, operation: Callable[["Tx"], R]) -> R:
        """Run `operation(tx)` so that, if it raises, what it did is undone and nothing else."""
        rung = self.rung.copy()
        self.run("savepoint part")
        try:
            result = operation(self)
        except BaseException:
            if self.is_open:
                self.run("rollback to part")
                self.run("release part")
            self.rung = rung
            raise
        self.run("release part")
        return result

    def ring(self, bell: str) -> None:
        """Wake whoever waits for `bell`, once this transaction is committed."""
        self.rung.add(bell)


class Database:
    """One connection to the file."""

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        before_commit: Callable[[], None],
        after_commit: Callable[[], None],
    ) -> None:
        self.path = Path(connection.filename) if connection.filename else None  # None: in memory
        self._connection = connection
        self._readers: list[Database] = []
        self._before_commit = before_commit
        self._after_commit = after_commit
        self.bells = Bells()

    def write(self, operation: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `operation(tx, ...)` as one transaction; commit if it returns, then ring the bells it touched."""
        with self._transaction("begin immediate") as tx:
            result = operation(tx, *args, **kwargs)
        for bell in tx.rung:
            self.bells.ring(bell)
        return result

    def read(self, query: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `query(tx, ...)` on one consistent view of the file, then ring the bells it touched."""
        with self._transaction("begin") as tx:
            result = query(tx, *args, **kwargs)
        for bell in tx.rung:
            self.bells.ring(bell)
        return result

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Tx]:
        self._connection.execute(begin)
        tx = Tx(self._connection)
        try:
            yield tx
            is_write = begin != "begin"
            if is_write:
                self._before_commit()
            self._connection.execute("commit")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise
        if is_write:
            self._after_commit()

    def reader(self) -> "Database":
        """A connection beside this one that cannot write, for one thread at a time; not of a database in memory."""
        assert self.path is not None, "what is in memory is in one connection's"
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_MS)
        _exhaust(connection, "pragma trusted_schema = off")
        reader = Database(connection, before_commit=_nothing, after_commit=_nothing)
        self._readers.append(reader)
        return reader

    def check_whole(self) -> None:
        """Read the whole file, some seconds for a million invoices, to see that nothing of it is damaged.

        Raises:
            DatabaseProblem: it is.
        """
        _check_whole(self._connection, self.path)

    def close(self) -> None:
        """Close the connection, and those of its readers."""
        for reader in self._readers:
            reader.close()
        self._connection.close()


def _nothing() -> None:
    """The hook of a node that nobody makes crash on purpose."""


def create(path: Path) -> None:
    """Make a new database at `path`, with every migration applied.

    Raises:
        DatabaseProblem: something is already there.
    """
    _check_library()
    if path.exists():
        raise DatabaseProblem(f"{path} already exists; a database is made only once.")
    beside = path.with_name(path.name + ".new")  # so that `path` is whole from the moment it is there
    for leftover in path.parent.glob(beside.name + "*"):
        leftover.unlink()
    beside.touch(mode=0o600)
    connection = _connect(beside)
    try:
        _exhaust(connection, f"pragma application_id = {APPLICATION_ID}")
        _exhaust(connection, "pragma journal_mode = wal")
        _migrate(connection)
    finally:
        connection.close()
    beside.rename(path)


def open(
    path: Path,
    *,
    migrate: bool = True,
    before_commit: Callable[[], None] = _nothing,
    after_commit: Callable[[], None] = _nothing,
) -> Database:
    """Open the database at `path`, migrating it if it is older than this version and `migrate` allows it.

    Commands do not migrate: an older daemon may be running on it. Nor do they check the whole file, unless they say so;
    what is damaged where they read is an `apsw.CorruptError`.

    `before_commit` and `after_commit` run around each write's commit: the crash tests' hooks.

    Raises:
        DatabaseProblem: missing, foreign, newer, or damaged.
    """
    _check_library()
    if not path.exists():
        raise DatabaseProblem(
            f"There is no database at {path}. A new node: run `paynode init`. An existing one: "
            "put its database back (with its -wal file) before starting, or money in flight is forgotten."
        )
    try:
        connection = _connect(path)
    except (apsw.NotADBError, apsw.CorruptError) as problem:
        raise _damaged(path, problem) from problem
    except apsw.Error as problem:
        raise DatabaseProblem(f"{path} cannot be opened: {problem}") from problem
    try:
        _check_ours(connection, path)
        if migrate:
            _check_whole(connection, path)
            _migrate(connection)
        elif _pragma(connection, "user_version") < len(_migrations()):
            raise DatabaseProblem(f"{path} has an older schema. Restart the daemon with this version first.")
    except apsw.Error as problem:
        connection.close()
        raise _damaged(path, problem) from problem
    except DatabaseProblem:
        connection.close()
        raise
    return Database(connection, before_commit=before_commit, after_commit=after_commit)


def _damaged(path: Path, problem: apsw.Error) -> DatabaseProblem:
    return DatabaseProblem(f"{path} is damaged or not a database: {problem}. Restore a backup.")


def in_memory(*, before_commit: Callable[[], None] = _nothing, after_commit: Callable[[], None] = _nothing) -> Database:
    """A database that is gone when closed, for tests and for reckoning; the hooks are those of `open`."""
    _check_library()
    connection = apsw.Connection(":memory:")
    exact.register(connection)
    _exhaust(connection, "pragma foreign_keys = on")
    _migrate(connection)
    return Database(connection, before_commit=before_commit, after_commit=after_commit)


def _check_library() -> None:
    if apsw.SQLITE_VERSION_NUMBER < SQLITE_VERSION_MIN:
        raise DatabaseProblem(f"SQLite {apsw.sqlite_lib_version()} is too old: 3.51.3 is needed. Upgrade apsw.")


def _connect(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_MS)
    exact.register(connection)
    _exhaust(connection, "pragma synchronous = full")  # WAL with NORMAL may lose a commit when power fails (I21)
    _exhaust(connection, "pragma foreign_keys = on")
    _exhaust(connection, "pragma trusted_schema = off")
    return connection


def _check_ours(connection: apsw.Connection, path: Path) -> None:
    application_id = _pragma(connection, "application_id")
    if application_id != APPLICATION_ID:
        raise DatabaseProblem(f"{path} is not a paynode database (application id {application_id:#x}).")
    version, known = _pragma(connection, "user_version"), len(_migrations())
    if version > known:
        raise DatabaseProblem(
            f"{path} was written by a newer paynode (schema {version}; this one knows {known}). Install that version."
        )


def _check_whole(connection: apsw.Connection, path: Path | None) -> None:
    verdict = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != ("ok",):
        raise DatabaseProblem(f"{path} is damaged: {verdict}. Restore a backup.")


def _pragma(connection: apsw.Connection, name: str) -> int:
    row = connection.execute(f"pragma {name}").fetchone()
    assert row is not None, "these pragmas always answer"
    return int(row[0])


def _migrations() -> list[str]:
    """The migrations' SQL, in order; the schema version is how many were applied."""
    folder = resources.files("paynode.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text() for name in names]


def _migrate(connection: apsw.Connection) -> None:
    for version, sql in enumerate(_migrations(), start=1):
        if version <= _pragma(connection, "user_version"):
            continue
        connection.execute("begin immediate")
        try:
            _exhaust(connection, sql)
            _exhaust(connection, f"pragma user_version = {version}")
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise


def _exhaust(connection: apsw.Connection, sql: str) -> None:
    """Run every statement: a cursor that is not iterated stops after the first."""
    for _ in connection.execute(sql):
        pass
