"""Writes that share a commit: what a disk takes to sync is then waited for once by all who write at that moment.

The first who asks lets the others on their way catch up and writes for all. Each operation is whole or nothing by
itself and is told of its own error only; nobody gets an answer before the commit.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import outcome
import trio

from paynode.store.database import Database, Tx

QUIET_TURNS = 4  # of the event loop, some 20 us each; requests read in one turn get here within so many of each other
JOINED_MAX = 64  # keeps one turn's work, and with it everybody's wait, short

R = TypeVar("R")


class _Asked(Generic[R]):
    """One write that is asked for."""

    def __init__(self, operation: Callable[[Tx], R]) -> None:
        self.operation = operation
        self.is_done = trio.Event()
        self.result: outcome.Outcome[R] | None = None


class Together:
    """Gathers the writes of many tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: list[_Asked[Any]] = []

    async def write(self, operation: Callable[[Tx], R]) -> R:
        """`Database.write`, in one commit with those who ask for it now as well."""
        asked = _Asked(operation)
        self._asked.append(asked)
        # Shielded: the others rely on the first of them, and what is perhaps committed is not to be taken for undone.
        with trio.CancelScope(shield=True):
            if len(self._asked) == 1:
                await self._gather()
                self._write_all()
            else:
                await asked.is_done.wait()
        assert asked.result is not None, "whoever is done has a result"
        return asked.result.unwrap()

    async def _gather(self) -> None:
        """Wait until nobody joined for a few turns."""
        quiet, joined = 0, len(self._asked)
        while quiet < QUIET_TURNS and joined < JOINED_MAX:
            await trio.lowlevel.checkpoint()
            quiet = quiet + 1 if len(self._asked) == joined else 0
            joined = len(self._asked)

    def _write_all(self) -> None:
        joined, self._asked = self._asked, []
        operations = [asked.operation for asked in joined]
        shared = outcome.capture(self._database.write, _each, operations) if len(joined) > 1 else None
        if isinstance(shared, outcome.Value):
            results = shared.unwrap()
        else:  # alone from the first, or because the shared transaction failed as a whole
            results = [outcome.capture(self._database.write, operation) for operation in operations]
        for asked, result in zip(joined, results, strict=True):
            asked.result = result
            asked.is_done.set()


def _each(tx: Tx, operations: Sequence[Callable[[Tx], Any]]) -> list[outcome.Outcome[Any]]:
    """Run each operation; returns how each ended."""
    results: list[outcome.Outcome[Any]] = []
    for operation in operations:
        result = outcome.capture(tx.part, operation)
        if not tx.is_open:  # SQLite undoes the whole transaction when, for example, the disk is full
            result.unwrap()
        results.append(result)
    return results
