"""Rule 7, its first half: from where a native pair's rise is searched, and what is not searched at all. Pure.

A search starts at a height where the balance is what the books say, which is read and not assumed. Rows that are
right there stand as they are; where they are not, those that were inferred and are not confirmed are inferred anew.
What cannot or need not be placed in a block is `unplaced`: its sum is exact, its time an interval.

A search is a generator: it yields a height, and is sent the balance there. So those of many pairs read together.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from paynode.chains.evm.explain import expected_units, is_replaceable
from paynode.chains.evm.search import Climb, agreed_checkpoint, start_heights
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.states import States
from paynode.chains.evm.thrift import NativeMemory
from paynode.domain.chain import BlockRef, Pair, Row, RowSource

T = TypeVar("T")


class Thrifty(Exception):
    """The address has been searched enough for an hour."""


class Gone(Exception):
    """The state at that height is gone."""


@dataclass(frozen=True, slots=True)
class Unplaced:
    """`units` that arrived by the block at `height`, and after `earliest_at`; None: nobody knows since when."""

    height: int
    units: int
    earliest_at: datetime | None


@dataclass(slots=True)
class Rise:
    """One pair's rise, on its way to be placed."""

    pair: Pair
    proven: Sequence[Row]  # what the search builds on
    replaceable: Sequence[Row]  # what its result replaces
    climb: Climb = field(default_factory=Climb)
    unplaced: Unplaced | None = None  # what is not searched

    def learn(self, height: int, units: int) -> int:
        """Take the balance at `height` into the climb; returns how much more it is than the books say."""
        residual = units - expected_units(self.proven, self.pair, height)
        self.climb.residual_by_height[height] = residual
        return residual


# It yields heights, and is sent the balances there; None: that state is gone.
Reading = Generator[int, int | None, T]


@dataclass(slots=True)
class Starter:
    """Finds where searches start, with one provider's `states`."""

    sight: Sight
    states: States
    booked: Sequence[Row]
    canonical_below: int  # up to here checkpoints are known to be on the head's chain
    memory: NativeMemory

    def begin(self, pair: Pair) -> Reading[Rise | None]:
        """What is to be searched for `pair`, or None: it has fallen, or at no height does it equal the books."""
        rows = [row for row in self.booked if row.pair == pair]
        agreed = self._agreed(pair, (), is_sure=False)
        rest = self._at_head(pair) - expected_units(rows, pair)
        is_dust = 0 < rest < self.sight.watchlist.watch_by_address[pair.address].dust_units
        if is_dust and (since := (yield from self._known_since(pair, rows))) is not None:
            return self._unsearched(pair, rest, rows, since)
        try:
            rise = yield from self._upon_all(pair, rows, rest, agreed)
            return rise or (yield from self._upon_proven(pair, rows))
        except Thrifty:
            if rest <= 0:
                return None
            shown = agreed_checkpoint(self.sight.books, pair, (), self._floor(pair), is_sure=False)
            return self._unsearched(pair, rest, rows, (yield from self._known_since(pair, rows)) or shown)

    def _known_since(self, pair: Pair, rows: Sequence[Row]) -> Reading[BlockRef | None]:
        """The newest checkpoint, if `rows` are right there: what they do not know of came later. One read, always."""
        since = self._agreed(pair, (), is_sure=True)
        if since is None:
            return None
        self.memory.may_read(pair, self.sight.head)
        units = yield since.number
        return since if units == expected_units(rows, pair, since.number) else None

    def _upon_all(self, pair: Pair, rows: Sequence[Row], rest: int, agreed: BlockRef | None) -> Reading[Rise | None]:
        """The search above the newest checkpoint, if all rows are below it and right there."""
        is_below = agreed is not None and all(row.block.number <= agreed.number for row in rows if is_replaceable(row))
        if agreed is None or not is_below or rest <= 0 or not any(is_replaceable(row) for row in rows):
            return None
        rise = self._rise(pair, rows, ())
        try:
            return rise if (yield from self._read(rise, agreed.number)) == 0 else None
        except Gone:
            return None

    def _upon_proven(self, pair: Pair, rows: Sequence[Row]) -> Reading[Rise | None]:
        """The search that infers anew what is not confirmed."""
        replaceable = [row for row in rows if is_replaceable(row)]
        rise = self._rise(pair, [row for row in rows if row not in replaceable], replaceable)
        head = self.sight.head.number
        if rise.climb.residual_by_height[head] < 0:
            return None
        floor = self._floor(pair)
        agreed = self._agreed(pair, replaceable, is_sure=False)
        # Where rows stand that say "by then", not "there", books and balance are only equal from their block on.
        sums = {row.block.number for row in rise.proven if row.source in {RowSource.UNPLACED, RowSource.DRIFT}}
        try:
            for height in start_heights(agreed.number if agreed else floor, head, floor, sums):
                if (yield from self._read(rise, height)) == 0:
                    return rise
            return None
        except Gone:
            return (yield from self._above_gone(rise))

    def _above_gone(self, rise: Rise) -> Reading[Rise | None]:
        """The search of what can still be read; what lies below it is `unplaced`."""
        pair = rise.pair
        for height in (self.states.oldest, self.sight.head.number):
            search = self._rise(pair, rise.proven, rise.replaceable)
            try:
                below = yield from self._read(search, height)
            except Gone:
                continue
            if below < 0:
                return None
            # What was unplaced before, below all that can be read, stays: dropping it would only make it younger.
            kept = [row for row in rise.replaceable if row.source is RowSource.UNPLACED and row.block.number < height]
            if sum(row.units for row in kept) > below:
                kept = []
            loose = [row for row in rise.replaceable if row not in kept]
            found = self._rise(pair, [*rise.proven, *kept], loose)
            found.climb.residual_by_height[height] = rest = below - sum(row.units for row in kept)
            if rest:
                since = self._agreed(pair, rise.replaceable, is_sure=True)
                found.unplaced = Unplaced(height, rest, earliest(loose, since))
            return found
        return None

    def _unsearched(self, pair: Pair, rest: int, rows: Sequence[Row], since: BlockRef | None) -> Rise:
        """`rest`, which arrived after `since`, as it is.

        Dust grows in one row while that is dust itself. A row of this very head grows in any case: it has its key.
        """
        head, dust_units = self.sight.head, self.sight.watchlist.watch_by_address[pair.address].dust_units
        grown: list[Row] = []
        for row in rows:
            is_unplaced = row.source is RowSource.UNPLACED and is_replaceable(row)
            if is_unplaced and (row.block.hash == head.hash or rest + row.units < dust_units):
                grown.append(row)
                rest += row.units
        return Rise(pair, (), grown, unplaced=Unplaced(head.number, rest, earliest(grown, since)))

    def _agreed(self, pair: Pair, replaceable: Sequence[Row], *, is_sure: bool) -> BlockRef | None:
        right_below = self.memory.wrong_from.get(pair, self.sight.head.number + 1) - 1
        limit = min(self.canonical_below, right_below)
        return agreed_checkpoint(self.sight.books, pair, replaceable, limit, is_sure=is_sure)

    def _floor(self, pair: Pair) -> int:
        floor = self.sight.books.floor(self.sight.watchlist.watch_by_address[pair.address], pair.method)
        return min(floor, self.sight.head.number)

    def _rise(self, pair: Pair, proven: Sequence[Row], replaceable: Sequence[Row]) -> Rise:
        rise = Rise(pair, proven, replaceable)
        rise.learn(self.sight.head.number, self._at_head(pair))
        return rise

    def _at_head(self, pair: Pair) -> int:
        units = self.sight.balances[pair]
        assert units is not None, "a native balance is always known"
        return units

    def _read(self, rise: Rise, height: int) -> Reading[int]:
        """The residual at `height`; at the head it is known by the look, and no other answer may take its place."""
        if height == self.sight.head.number:
            return rise.climb.residual_by_height[height]
        if not self.memory.may_read(rise.pair, self.sight.head):
            raise Thrifty
        if (units := (yield height)) is None:
            raise Gone
        return rise.learn(height, units)


def earliest(replaced: Iterable[Row], agreed: BlockRef | None) -> datetime | None:
    """Since when: the earliest moment of `agreed` and of what is replaced; None where one of those is not known."""
    known = [row.earliest_at for row in replaced if row.source is RowSource.UNPLACED]
    bounds = [at for at in (*known, agreed.at if agreed else None) if at is not None]
    return None if None in known else min(bounds, default=None)
