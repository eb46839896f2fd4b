"""Reads that may take long: in threads, on connections of their own, so that nobody else waits for them.

Each is one short transaction. What is longer than that is read in pieces, so that no reader, however slow, keeps the
write-ahead log from being reset.
"""

from collections.abc import Callable
from typing import TypeVar

import trio

from paynode.store.database import Database, Tx

THREADS_MAX = 4

R = TypeVar("R")


class Readers:
    """The connections of one database's long reads, opened when they are needed and kept."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._limiter = trio.CapacityLimiter(THREADS_MAX)
        self._idle: list[Database] = []

    async def read(self, query: Callable[[Tx], R]) -> R:
        """`Database.read`, in a thread. A database in memory has one connection, and is read here and now."""
        if self._database.path is None:
            await trio.lowlevel.checkpoint()
            return self._database.read(query)
        return await trio.to_thread.run_sync(self._read, query, limiter=self._limiter)

    def _read(self, query: Callable[[Tx], R]) -> R:
        reader = self._idle.pop() if self._idle else self._database.reader()
        try:
            return reader.read(query)
        finally:
            self._idle.append(reader)
