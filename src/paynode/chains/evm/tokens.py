"""Rule 6: the logs that explain tokens. I/O around `search.windows` and `codec`.

Newest blocks first, older and wider only while something is unexplained, never
below a pair's floor. A search that the bound of a tick cuts off goes on at the
next one; one that ended without an explanation starts anew, at once while the
dispute is young and hourly when it is old, or settled by an adjustment.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from paynode.chains.evm.codec import rows_of_log
from paynode.chains.evm.explain import differing, unbooked
from paynode.chains.evm.reads import Reads
from paynode.chains.evm.search import windows
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.wire import Log, Tx
from paynode.domain.chain import Pair, Row, RowSource

LOG_CALLS_PER_TICK_MAX = 80
PASS_INTERVAL_MAX = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Span:
    """What has been read for a pair at one provider: (low, high]."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Rest:
    """A search to the floor that ended without an explanation."""

    until: datetime  # when to search anew
    units: int | None  # the balance then; another one wakes it
    head_number: int


@dataclass(slots=True)
class LogMemory:
    """What searches remember from tick to tick. Losing it costs calls, nothing more."""

    spans: dict[tuple[str, Pair], Span] = field(default_factory=dict)  # by provider and pair; of unfinished searches
    rests: dict[tuple[str, Pair], Rest] = field(default_factory=dict)  # of finished ones

    def is_resting(self, provider: str, pair: Pair, at: datetime, units: int | None) -> bool:
        rest = self.rests.get((provider, pair))
        return rest is not None and at < rest.until and units == rest.units

    def has_read(self, provider: str, pair: Pair, units: int | None, head_number: int) -> bool:
        """Whether all logs were read at that head or later, and do not explain this balance."""
        rest = self.rests.get((provider, pair))
        return rest is not None and rest.units == units and rest.head_number >= head_number

    def wake(self, provider: str, sight: Sight, ripe_at_by_pair: Mapping[Pair, int | None]) -> None:
        """End the rest of pairs that are disputed for long enough, and were not read since they are."""
        for pair, ripe_at in ripe_at_by_pair.items():
            is_ripe = ripe_at is not None and sight.head.number >= ripe_at
            if is_ripe and not self.has_read(provider, pair, sight.balances[pair], ripe_at or 0):
                self.rests.pop((provider, pair), None)

    def finish(self, provider: str, pair: Pair, sight: Sight) -> None:
        self.spans.pop((provider, pair), None)
        interval = timedelta()
        if (dispute := sight.books.disputes.get(pair)) is not None:
            interval = min(sight.head.at - dispute.since.at, PASS_INTERVAL_MAX)
        elif any(row.pair == pair and row.source is RowSource.DRIFT for row in sight.books.rows):
            interval = PASS_INTERVAL_MAX
        self.rests[provider, pair] = Rest(sight.head.at + interval, sight.balances[pair], sight.head.number)

    def keep_only(self, pairs: Collection[Pair]) -> None:
        """Forget every pair that is explained."""
        self.spans = {key: span for key, span in self.spans.items() if key[1] in pairs}
        self.rests = {key: rest for key, rest in self.rests.items() if key[1] in pairs}


async def find_tokens(
    sight: Sight, source: Reads, pairs: Iterable[Pair], booked: Sequence[Row], memory: LogMemory
) -> list[Row]:
    """The unbooked rows of `pairs` that `source` has logs for; the blocks are checked against the head of `sight`."""
    found: list[Row] = []
    groups: dict[Span | None, set[Pair]] = {}
    for pair in pairs:
        if not memory.is_resting(source.name, pair, sight.head.at, sight.balances[pair]):
            groups.setdefault(memory.spans.get((source.name, pair)), set()).add(pair)
    source.log_calls = 0
    for span, group in sorted(groups.items(), key=lambda item: item[0] is not None):  # what is new comes first
        await _search(sight, source, group, span, [*booked], found, memory)
    return found


async def _search(
    sight: Sight,
    source: Reads,
    pairs: set[Pair],
    span: Span | None,
    booked: list[Row],
    found: list[Row],
    memory: LogMemory,
) -> None:
    head, books = sight.head.number, sight.books
    floor_by_pair = {pair: books.floor(sight.watchlist.watch_by_address[pair.address], pair.method) for pair in pairs}
    floor = min(floor_by_pair.values())
    if span is None:
        ranges = [*windows(head, books.cursor.number if books.cursor else floor, floor)]
        low = head
    else:
        newest = [(span.high, head)] if head > span.high else []
        ranges = [*newest, *windows(span.low, span.low - (span.high - span.low), floor)]
        low = span.low
    open_pairs = set(pairs)
    for window_low, window_high in ranges:
        high = window_high
        while high > window_low:
            if source.log_calls >= LOG_CALLS_PER_TICK_MAX:
                memory.spans |= {(source.name, pair): Span(low, head) for pair in open_pairs}
                return
            contracts = sorted({sight.watchlist.contract_by_method[pair.method] for pair in open_pairs})
            addresses = sorted({pair.address for pair in open_pairs})
            logs, high = await source.newest_logs(contracts, addresses, window_low, high)
            low = min(low, high)
            rows = [
                row
                for row in await canonical_rows(sight, source, logs, [*booked, *found])
                if row.block.number > floor_by_pair.get(row.pair, floor)
            ]
            found += rows
            open_pairs = set(differing(open_pairs, sight.balances, [*booked, *found]))
            if not open_pairs:
                return
    for pair in open_pairs:
        memory.finish(source.name, pair, sight)


async def canonical_rows(sight: Sight, source: Reads, logs: Sequence[Log], known: Sequence[Row]) -> list[Row]:
    """The unbooked rows of those logs whose block is an ancestor of the head."""
    blocks = await sight.ancestors((int(log.block_number, 16), log.block_hash.lower()) for log in logs)
    canonical = [log for log in logs if log.block_hash.lower() in blocks]

    def rows_with(txs: Mapping[str, Tx]) -> list[Row]:
        return unbooked(
            (
                row
                for log in canonical
                for row in rows_of_log(
                    log,
                    blocks[log.block_hash.lower()],
                    txs.get(log.transaction_hash.lower()),
                    sight.watchlist,
                    RowSource.LOG,
                )
            ),
            known,
        )

    fresh = rows_with({})
    return rows_with(await source.txs(sorted({row.tx_hash for row in fresh}))) if fresh else []
