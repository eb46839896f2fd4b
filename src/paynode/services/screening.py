"""The screening service: reads the lists whenever their files change, and judges new deposits by what is known.

It comes round every few seconds by itself; a new deposit wakes it.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial

import structlog
import trio

from paynode.config import DenyFile
from paynode.operations import screening, screening_lists
from paynode.operations.catalogue import Catalogue
from paynode.operations.screening_lists import ReadList
from paynode.sources.screening import lists
from paynode.sources.screening.lists import Broken, Stamp
from paynode.store import bells
from paynode.store import screening as rows
from paynode.store.database import Database

ROUND_SECONDS = 5.0

log = structlog.get_logger()

Parse = Callable[[str], str]  # the canonical form of an address in one chain family; ValueError: it is none there


async def run(
    database: Database,
    catalogue: Catalogue,
    parsers: Collection[Parse],
    *,
    clock: Callable[[], datetime],
    beat: Callable[[], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Screen for ever; `parsers` are those of the chain families that the node follows."""
    screener = Screener(database, catalogue, parsers, clock)
    task_status.started()
    while True:
        beat()
        await screener.one_round()
        await database.bells.wait(bells.SCREENING, seconds=ROUND_SECONDS)


class Screener:
    """All that screening needs from round to round."""

    def __init__(
        self, database: Database, catalogue: Catalogue, parsers: Collection[Parse], clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._parsers = parsers
        self._clock = clock
        self._files = catalogue.config.screening.deny_files
        self._stamps: dict[str, Stamp] = {}  # of the files as they were last read
        database.write(rows.forget_lists, [file.name for file in self._files])

    async def one_round(self) -> None:
        """Read what lists have changed, then judge all deposits that are due."""
        for file in self._files:
            await self._read(file)
        self._database.write(screening_lists.tell, self._catalogue, self._clock())
        while self._database.write(screening.judge_due, self._catalogue, self._clock()):
            await trio.lowlevel.checkpoint()

    async def _read(self, file: DenyFile) -> None:
        """Read one list again if its file is another than before."""
        try:
            stamp = lists.stamp(file.path)
            if self._stamps.get(file.name) == stamp:
                return
            self._stamps[file.name] = stamp
            found = await trio.to_thread.run_sync(partial(_parsed, file, self._parsers))
        except Broken as broken:
            self._database.write(screening_lists.refuse, file.name, str(broken))
        else:
            self._database.write(screening.use_list, self._catalogue, file.name, found, self._clock())


def _parsed(file: DenyFile, parsers: Collection[Parse]) -> ReadList:
    read = lists.read(file.path)
    canonical = {form for address in read.addresses for parse in parsers for form in _forms(parse, address)}
    return ReadList(read.hash, canonical, len(read.addresses), read.as_of)


def _forms(parse: Parse, address: str) -> set[str]:
    """What a chain family takes `address` for: lists write it in any capitals."""
    forms = set()
    for written in (address, address.lower()):
        try:
            forms.add(parse(written))
        except ValueError:
            continue
    return forms
