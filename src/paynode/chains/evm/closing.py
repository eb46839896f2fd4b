"""Rules 5 and 10: logs that are read although the balance is right. I/O.

What came and left again between two looks leaves the balance as it was, so no alarm calls for it. Ranges of blocks
are therefore closed at depth, oldest first: every log of every pair in them is read once, whatever the balance says,
at the second provider where there is one. Only then does the pair's floor rise, since no search starts above it.

Native coins have no logs. Their floor stays, and nothing but our own transactions takes them away.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from paynode.chains.evm.reads import Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.tokens import LOG_CALLS_PER_TICK_MAX, canonical_rows
from paynode.chains.evm.treasury import Mark, touched_by_strangers
from paynode.chains.evm.views import Views
from paynode.domain.chain import Pair, Row

CLOSED_BLOCKS = 100  # how far a floor may lie below what is final before its range is closed
CLOSED_INTERVAL = timedelta(hours=1)  # but not more often, unless a pair is exposed
WIDE_RANGE_BLOCKS = 1_000  # a provider that gives less for one query is asked about exposed pairs only
CLOSING_CALLS_MAX = 40  # per tick: a range left open by an outage is closed over many


@dataclass(slots=True)
class Ranges:
    """What is remembered of ranges, and of who may move money without us. Losing it costs calls."""

    coded: set[str] = field(default_factory=set)  # addresses that had code when last looked at: others may call them
    treasury: dict[Pair, Mark] = field(default_factory=dict)
    closed_at: datetime | None = None  # the head's time when ranges were closed last
    asked_at: dict[str, int] = field(default_factory=dict)  # by address to look at again: the head when it was new

    def note_code(self, sizes: Mapping[str, int], addresses: Iterable[str]) -> None:
        for address in addresses:
            if sizes.get(address):
                self.coded.add(address)
            elif address in sizes:
                self.coded.discard(address)


@dataclass(slots=True)
class Closed:
    """What was read of closed ranges."""

    rows: list[Row] = field(default_factory=list)  # unknown until now
    floors: dict[Pair, int] = field(default_factory=dict)  # how far each pair's logs are read by now
    unfinished: frozenset[Pair] = frozenset()  # what could not be read as far as it should

    def floors_without(self, open_pairs: Collection[Pair]) -> dict[Pair, int]:
        """The floors that rise: what logs do not explain keeps its own."""
        return {pair: floor for pair, floor in self.floors.items() if pair not in open_pairs}


@dataclass(frozen=True, slots=True)
class Closable:
    """The pairs whose ranges may be closed now, with their floors, and why one may not wait."""

    floors: Mapping[Pair, int]
    exposed: frozenset[Pair]  # a stranger may have moved their money: their address has code
    ending: frozenset[Pair]  # their watch ends: they are read once more
    doubted: frozenset[Pair] = frozenset()  # somebody asked to look at them again


def due(closable: Closable, high: int, log_blocks: int, since_last: timedelta | None) -> frozenset[Pair]:
    """Those pairs whose range is to be closed now, up to height `high`. Pure.

    `log_blocks` is what the provider gives for one query; `since_last` is None if nothing was closed yet.
    """
    behind = frozenset(pair for pair, floor in closable.floors.items() if floor < high)
    long_open = frozenset(pair for pair in behind if high - closable.floors[pair] >= CLOSED_BLOCKS)
    if log_blocks < WIDE_RANGE_BLOCKS:
        return ((long_open | closable.ending) & closable.exposed | closable.doubted) & behind
    if (closable.ending | closable.doubted) & behind or (
        long_open and (since_last is None or since_last >= CLOSED_INTERVAL)
    ):
        return behind
    return behind if long_open & closable.exposed else frozenset()


async def close_due(
    sight: Sight, views: Views, floors: Mapping[Pair, int], high: int, ranges: Ranges, booked: Sequence[Row]
) -> Closed:
    """Close the ranges that are due of pairs with these floors, up to `high`."""
    ending = {watch.address for watch in sight.books.watches if watch.is_ending}
    closable = Closable(
        floors=floors,
        exposed=frozenset(pair for pair in floors if pair.address in ranges.coded),
        ending=frozenset(pair for pair in floors if pair.address in ending),
        doubted=frozenset(pair for pair in floors if pair.address in sight.books.touched),
    )
    since = None if ranges.closed_at is None else sight.head.at - ranges.closed_at
    pairs = due(closable, high, views.witness.log_blocks, since)
    closed = Closed(unfinished=pairs)
    with views.sparing_the_second():
        closed = await close_ranges(sight, views.witness, {pair: floors[pair] for pair in pairs}, high, booked)
    if pairs and not closed.unfinished:
        ranges.closed_at = sight.head.at
    return closed


async def close_ranges(
    sight: Sight, source: Reads, floors: Mapping[Pair, int], high: int, booked: Sequence[Row]
) -> Closed:
    """Read every log of the pairs in `floors` from their floor up to `high`, or as far as a tick may."""
    closed = Closed(unfinished=frozenset(floors))
    if not floors or not await _has_block(sight, source, high):
        return closed
    reached = min(floors.values())
    source.log_calls = 0
    while reached < high and source.log_calls < CLOSING_CALLS_MAX:
        top = min(reached + source.log_blocks, high)
        rows, unread_below = await _read(sight, source, floors, reached, top, [*booked, *closed.rows])
        closed.rows += rows
        if unread_below > reached:
            break
        reached = top
    closed.floors = {pair: reached for pair, floor in floors.items() if floor < reached}
    if reached == high:
        closed.unfinished = frozenset()
    return closed


async def read_touched(
    sight: Sight, source: Reads, open_pairs: Collection[Pair], ranges: Ranges, booked: Sequence[Row]
) -> list[Row]:
    """The unknown rows of pairs whose right balance is not believed: newest first, as far down as one tick may.

    Those that paid a treasury without us, those that somebody asked to look at again (what lies deeper is read as their
    ranges close, oldest blocks first), and those whose dispute ends by itself: a payment as large as what was missing
    makes the balance right, too.
    """
    books = sight.books
    touched = await touched_by_strangers(sight, source, sight.treasuries, ranges.treasury, frozenset(ranges.coded))
    touched |= {pair for pair in sight.watchlist.pairs if pair.address in books.touched - ranges.asked_at.keys()}
    ranges.asked_at = {each: ranges.asked_at.get(each, sight.head.number) for each in books.touched}
    touched |= books.disputes.keys() - open_pairs
    floors = {pair: floor for pair, floor in log_floors(sight).items() if pair in touched}
    if not floors:
        return []
    source.log_calls = 0
    rows, _ = await _read(sight, source, floors, min(floors.values()), sight.head.number, booked)
    return rows


def read_again(sight: Sight, closed: Closed, ranges: Ranges, depth: int) -> frozenset[str]:
    """The touched addresses whose logs are read up to what was final when they were first looked at again.

    Not up to what is final now: a chain may be quicker than a provider that gives a block or two for one query.
    """
    floors = log_floors(sight) | closed.floors
    final = {address: head_number - depth + 1 for address, head_number in ranges.asked_at.items()}
    return frozenset(final) - {pair.address for pair in closed.unfinished if floors[pair] < final.get(pair.address, 0)}


async def _read(
    sight: Sight, source: Reads, floors: Mapping[Pair, int], low: int, high: int, booked: Sequence[Row]
) -> tuple[list[Row], int]:
    """The unknown rows of (low, high], newest first, and the height down to which a tick's calls sufficed."""
    contracts = sorted({sight.watchlist.contract_by_method[pair.method] for pair in floors})
    addresses = sorted({pair.address for pair in floors})
    rows: list[Row] = []
    while high > low and source.log_calls < LOG_CALLS_PER_TICK_MAX:
        logs, high = await source.newest_logs(contracts, addresses, low, high)
        fresh = await canonical_rows(sight, source, logs, [*booked, *rows])
        rows += [row for row in fresh if row.block.number > floors.get(row.pair, row.block.number)]
    return rows, high


def log_floors(sight: Sight) -> dict[Pair, int]:
    """The floors of all pairs that have logs."""
    watchlist = sight.watchlist
    return {
        pair: sight.books.floor(watchlist.watch_by_address[pair.address], pair.method)
        for pair in watchlist.pairs
        if not watchlist.is_native(pair)
    }


async def _has_block(sight: Sight, source: Reads, height: int) -> bool:
    """Whether `source` has come as far, on the head's own chain: else its logs may be none yet, or another's."""
    await sight.learn_hashes([height])
    (block,) = await source.blocks_by_number([height])
    return block is not None and block.header.hash == sight.hashes[height]
