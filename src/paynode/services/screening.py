"""The screening service: reads the lists whenever their files change, asks others, and has new deposits judged.

It comes round every few seconds by itself; a new deposit wakes it. Who does not answer is asked no more in that round,
so that it delays nobody whom others answer for.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

import structlog
import trio

from paynode.chains.base import Unavailable
from paynode.config import DenyFile
from paynode.domain.screening import Finding, Verdict
from paynode.operations import screening, screening_lists
from paynode.operations.catalogue import Catalogue
from paynode.operations.screening import Question
from paynode.operations.screening_lists import ReadList
from paynode.sources.http import SourceFailed
from paynode.sources.screening import lists
from paynode.sources.screening.base import AddressSource
from paynode.sources.screening.lists import Broken, Stamp
from paynode.store import bells
from paynode.store import screening as rows
from paynode.store.database import Database

ROUND_SECONDS = 5.0
ASKED_AT_ONCE = 8  # deposits
ASK_SECONDS = 20.0  # of one source about one deposit

NOBODY: Mapping[str, Sequence[AddressSource]] = {}

log = structlog.get_logger()

Parse = Callable[[str], str]  # the canonical form of an address in one chain family; ValueError: it is none there


async def run(
    database: Database,
    catalogue: Catalogue,
    parsers: Collection[Parse],
    sources: Mapping[str, Sequence[AddressSource]] = NOBODY,
    *,
    clock: Callable[[], datetime],
    beat: Callable[[], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Screen for ever; `parsers` are those of the chain families that the node follows."""
    screener = Screener(database, catalogue, parsers, clock, sources)
    task_status.started()
    while True:
        beat()
        has_more = await screener.one_round()
        await database.bells.wait(bells.SCREENING, seconds=0 if has_more else ROUND_SECONDS)


class Screener:
    """All that screening needs from round to round."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        parsers: Collection[Parse],
        clock: Callable[[], datetime],
        sources: Mapping[str, Sequence[AddressSource]] = NOBODY,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._parsers = parsers
        self._clock = clock
        self._sources = sources  # by network, of those where somebody is asked
        self._files = catalogue.config.screening.deny_files
        self._stamps: dict[str, Stamp] = {}  # of the files as they were last read
        database.write(rows.forget_lists, [file.name for file in self._files])
        if sources:  # perhaps others than before the node was started
            database.write(rows.ask_about_unscreened, clock())

    async def one_round(self) -> bool:
        """Read what lists have changed, then judge the deposits that are due; tells whether there may be more."""
        for file in self._files:
            await self._read(file)
        self._database.write(screening_lists.tell, self._catalogue, self._clock())
        now = self._clock()
        questions, has_more = self._database.write(screening.judge_due, self._catalogue, self._sources.keys(), now)
        failed: dict[tuple[str, str], str] = {}  # by source and network: it is asked no more in this round
        limit = trio.CapacityLimiter(ASKED_AT_ONCE)
        async with trio.open_nursery() as nursery:
            for question in questions:
                nursery.start_soon(self._ask, question, failed, limit)
        return has_more

    async def _ask(self, question: Question, failed: dict[tuple[str, str], str], limit: trio.CapacityLimiter) -> None:
        """Ask every source of a network about one deposit's senders, and store what they say together."""
        async with limit:
            said = [await self._say(source, question, failed) for source in self._sources[question.network]]
        self._database.write(screening.answered, self._catalogue, question.deposit_id, said, self._clock())

    async def _say(self, source: AddressSource, question: Question, failed: dict[tuple[str, str], str]) -> Finding:
        """What one source says; one that failed in this round is not asked again."""
        key = (source.name, question.network)
        if key not in failed:
            try:
                with trio.fail_after(ASK_SECONDS):
                    return await source.screen(question.network, question.senders)
            except (SourceFailed, Unavailable, trio.TooSlowError) as failure:
                failed[key] = str(failure) or f"no answer within {ASK_SECONDS:g} s"
                log.warning("screening_source_failed", source=source.name, reason=failed[key])
        return Finding(Verdict.NOT_SCREENED, source.name, failed[key])

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
