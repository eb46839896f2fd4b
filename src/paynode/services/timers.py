"""Work that is due by the clock: one table of (operation, interval)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import trio

from paynode.operations import deliveries
from paynode.operations.catalogue import Catalogue
from paynode.operations.expiry import expire_without_address
from paynode.store import bells, idempotency
from paynode.store.database import Database, Tx


@dataclass(frozen=True, slots=True)
class Timer:
    name: str
    seconds: float
    operation: Callable[[Tx, Catalogue, datetime], None]


def _expire(tx: Tx, catalogue: Catalogue, now: datetime) -> None:
    expire_without_address(tx, catalogue, now)


def _forget_answers(tx: Tx, catalogue: Catalogue, now: datetime) -> None:
    idempotency.forget_old(tx, now)


def _forget_deliveries(tx: Tx, catalogue: Catalogue, now: datetime) -> None:
    deliveries.forget_old(tx, now)


TABLE = (
    Timer("expire", 2.0, _expire),
    Timer("forget_answers", 3600.0, _forget_answers),
    Timer("forget_deliveries", 60.0, _forget_deliveries),
)


async def run(
    database: Database,
    catalogue: Catalogue,
    *,
    clock: Callable[[], datetime],
    beat: Callable[[], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run each operation of the table at its interval, the first time and whenever the clock is moved at once."""
    due = {timer.name: trio.current_time() for timer in TABLE}
    task_status.started()
    while True:
        beat()
        for timer in TABLE:
            if due[timer.name] <= trio.current_time():
                database.write(timer.operation, catalogue, clock())
                due[timer.name] = trio.current_time() + timer.seconds
        if await database.bells.wait(bells.CLOCK, seconds=min(due.values()) - trio.current_time()):
            due = dict.fromkeys(due, trio.current_time())
