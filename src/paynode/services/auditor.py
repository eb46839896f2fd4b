"""The auditor: holds the books against themselves at every start and every hour (I17).

It goes through everything that was ever booked, so it reads in a thread, on a connection of its own: nobody waits.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog
import trio

from paynode.operations import outflows
from paynode.operations.audit import Mismatch, audit
from paynode.operations.catalogue import Catalogue
from paynode.store import database as databases
from paynode.store.database import Database

INTERVAL_SECONDS = 3600.0

log = structlog.get_logger()


async def run(
    database: Database,
    catalogue: Catalogue,
    path: Path,
    *,
    clock: Callable[[], datetime],
    beat: Callable[[], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Audit the database at `path` for ever."""
    task_status.started()
    while True:
        beat()
        await audit_once(database, catalogue, path, clock)
        await trio.sleep(INTERVAL_SECONDS)


async def audit_once(database: Database, catalogue: Catalogue, path: Path, clock: Callable[[], datetime]) -> None:
    """Books that do not balance stop all outflows until a person has looked."""
    found = await trio.to_thread.run_sync(_audited, path, catalogue)
    for mismatch in found:
        log.error("books_do_not_balance", mismatch=str(mismatch))
    for network in catalogue.networks if found else ():
        database.write(outflows.pause, catalogue, network, "", f"the books do not balance: {found[0]}", clock())


def _audited(path: Path, catalogue: Catalogue) -> list[Mismatch]:
    database = databases.open(path, migrate=False)
    try:
        return database.read(audit, catalogue)
    finally:
        database.close()
