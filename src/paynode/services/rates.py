"""The rates service: asks every source what coins cost, and stores the prices to believe.

Each source is asked in a lane of its own, so one that hangs delays no other. Whenever one has answered, the others have
a moment more; then every pair is judged by what each source said last. A source that fails is not believed on its
older word, and is asked ever more rarely until it works again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
import trio

from paynode.domain.quote import Rate
from paynode.domain.rates import FIRST_HOLD, Pending, judge, through
from paynode.operations import rates
from paynode.operations.catalogue import Catalogue
from paynode.operations.pricing import usable
from paynode.sources.http import SourceFailed
from paynode.sources.rates.base import Pair, RateSource
from paynode.store import bells
from paynode.store.database import Database, Tx

ROUND_SECONDS = 60.0  # between two questions to a source that works
RESTS_SECONDS = (15.0, 30.0, 60.0, 120.0)  # after a failure, the next, and so on, unless it asks for more
RETRY_AFTER_SECONDS_MAX = 3600
FETCH_SECONDS = 30.0  # for all of a source's pairs
SETTLE_SECONDS = 2.0  # from the first answer of a round until it is judged
HOLD_SECONDS = FIRST_HOLD.total_seconds()  # until a lone price is asked for again
BEAT_SECONDS = 15.0

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Heard:
    """What the sources said last."""

    reports: dict[str, Mapping[Pair, Rate]] = field(default_factory=dict)  # by source, of those that answered
    trouble: dict[str, str] = field(default_factory=dict)  # by source, of the others
    news: trio.Event = field(default_factory=trio.Event)

    def of(self, pair: Pair, tether: Rate | None) -> list[Rate]:
        """The reports of one pair; those in tether are told in dollars, if it is known what tether costs."""
        found = []
        for reports in self.reports.values():
            direct, in_tether = reports.get(pair), reports.get((pair[0], "USDT"))
            if direct is not None:
                found.append(direct)
            elif in_tether is not None and tether is not None and pair[1] == tether.quote:
                found.append(through(in_tether, tether))
        return found


async def run(
    database: Database,
    catalogue: Catalogue,
    sources: Iterable[RateSource],
    *,
    clock: Callable[[], datetime],
    beat: Callable[[], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep the prices of every pair that matters fresh, for ever."""
    heard = Heard()
    pending: Mapping[Pair, Pending] = {}
    async with trio.open_nursery() as nursery:
        for source in sources:
            nursery.start_soon(_ask, database, catalogue, source, heard)
        task_status.started()
        while True:
            beat()
            with trio.move_on_after(HOLD_SECONDS if pending else BEAT_SECONDS):
                await heard.news.wait()
                await trio.sleep(SETTLE_SECONDS)
            if heard.news.is_set():
                heard.news = trio.Event()
                pending = database.write(_judge, catalogue, heard, pending, clock())
            elif pending:
                database.bells.ring(bells.RATES)  # ask again at once, whether the lone prices hold


async def _ask(database: Database, catalogue: Catalogue, source: RateSource, heard: Heard) -> None:
    """Ask one source for ever, for all pairs that matter at the time."""
    failed_count = 0
    while True:
        pairs = database.read(rates.pairs, catalogue)
        try:
            with trio.fail_after(FETCH_SECONDS):
                said = await source.fetch(pairs)
        except (SourceFailed, trio.TooSlowError) as error:
            failure = error if isinstance(error, SourceFailed) else SourceFailed(f"not done in {FETCH_SECONDS:g} s")
            failed_count += 1
            seconds = _rest_seconds(failed_count, failure.retry_after_seconds)
            heard.reports.pop(source.name, None)
            if heard.trouble.get(source.name) != failure.reason:
                log.warning("rate_source_failed", source=source.name, reason=failure.reason)
            heard.trouble[source.name] = failure.reason
        else:
            heard.reports[source.name] = {(report.base, report.quote): report for report in said}
            failed_count = 0
            if heard.trouble.pop(source.name, None) is not None:
                log.info("rate_source_works_again", source=source.name)
        heard.news.set()
        if failed_count:
            await trio.sleep(seconds)
        elif database.read(rates.pairs, catalogue) == pairs:  # else a currency came in between
            await database.bells.wait(bells.RATES, seconds=ROUND_SECONDS)


def _rest_seconds(failed_count: int, retry_after_seconds: int | None) -> float:
    rest_seconds = RESTS_SECONDS[min(failed_count, len(RESTS_SECONDS)) - 1]
    return max(rest_seconds, min(retry_after_seconds or 0, RETRY_AFTER_SECONDS_MAX))


def _judge(
    tx: Tx, catalogue: Catalogue, heard: Heard, pending: Mapping[Pair, Pending], now: datetime
) -> Mapping[Pair, Pending]:
    """Judge every pair and store what came of it; returns what is to be believed if it holds on."""
    wanted = rates.pairs(tx, catalogue)
    known = rates.last_good(tx, wanted, now)
    age_max = catalogue.config.rates.age_max
    trouble = "; ".join(f"{name}: {reason}" for name, reason in sorted(heard.trouble.items()))
    tether = usable(tx, catalogue, *rates.TETHER, now)
    believed: list[Rate] = []
    refused: dict[Pair, str] = {}
    still_pending: dict[Pair, Pending] = {}
    for pair in sorted(wanted, key=lambda pair: pair != rates.TETHER):  # what tether costs is known first
        verdict = judge(heard.of(pair, tether), known.get(pair), now=now, age_max=age_max, pending=pending.get(pair))
        if isinstance(verdict, Rate):
            believed.append(verdict)
            tether = verdict if pair == rates.TETHER else tether
            continue
        refused[pair] = f"{verdict.reason}; {trouble}" if trouble else verdict.reason
        if verdict.pending is not None:
            still_pending[pair] = verdict.pending
    rates.keep(tx, believed, refused, now)
    return still_pending
