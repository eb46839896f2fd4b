"""What the search for native coins may cost, so that one wei a minute cannot starve everybody else. Pure.

The one rule: what is saved is precision, never money. An address that has used up its hour still has every unit
booked, `unplaced`; no other address notices. Time is the chain's.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from paynode.chains.evm.traces import TraceMethod
from paynode.domain.chain import BlockRef, Pair, Row, RowSource

READS_PER_HOUR_MAX = 300  # of one address: thirty payments a few blocks apart, or twenty after a long outage
PAIRS_PER_TICK_MAX = 25  # about 450 calls: a tick of two minutes has time for 600 at the slowest rate, and is then lost
HOUR = timedelta(hours=1)


@dataclass(slots=True)
class NativeMemory:
    """What the search remembers from tick to tick. Losing it costs calls, nothing more."""

    reads: dict[Pair, list[tuple[datetime, int]]] = field(default_factory=dict)  # of the last hour: when, how many
    refused: dict[tuple[str, TraceMethod], datetime] = field(default_factory=dict)  # by provider: when it did
    wrong_from: dict[Pair, int] = field(default_factory=dict)  # the lowest block of a row that is gone

    def may_read(self, pair: Pair, head: BlockRef, count: int = 1) -> bool:
        """Whether `count` more balances of `pair` may be read now; if so, they are counted."""
        recent = [(at, reads) for at, reads in self.reads.get(pair, ()) if at > head.at - HOUR]
        is_within = sum(reads for _, reads in recent) + count <= READS_PER_HOUR_MAX
        self.reads[pair] = [*recent, (head.at, count)] if is_within else recent
        return is_within

    def doubt(
        self, replaced: Iterable[Row], refused: Iterable[Row], rows: Iterable[Row], open_pairs: Collection[Pair]
    ) -> None:
        """The books were wrong about rows that are gone: equal at a checkpoint since then, they say nothing about when.

        Once all `rows` of a pair are proven, and it is not open, its checkpoints mean what they say again.
        """
        unsettled = {*open_pairs, *(row.pair for row in rows if not row.confirmed)}
        self.wrong_from = {pair: height for pair, height in self.wrong_from.items() if pair in unsettled}
        for row in (*(each for each in replaced if each.source is RowSource.INTERNAL), *refused):
            self.wrong_from[row.pair] = min(row.block.number, self.wrong_from.get(row.pair, row.block.number))

    def first_in_turn(self, pairs: Iterable[Pair]) -> list[Pair]:
        """As many of `pairs` as one tick may search: those with the fewest reads within the hour, so that none starves.

        After a long outage there may be hundreds, and only a tick that ends stores what it found.
        """
        turn = sorted((sum(count for _, count in self.reads.get(pair, ())), pair) for pair in pairs)
        return sorted(pair for _, pair in turn[:PAIRS_PER_TICK_MAX])

    def keep_recent(self, head: BlockRef) -> None:
        """Forget the pairs that were not searched within the hour."""
        self.reads = {pair: reads for pair, reads in self.reads.items() if reads and reads[-1][0] > head.at - HOUR}

    def may_ask(self, provider: str, method: TraceMethod, head: BlockRef) -> bool:
        """Whether the provider may be asked for a trace: not within an hour of its refusal."""
        at = self.refused.get((provider, method))
        return at is None or at <= head.at - HOUR
