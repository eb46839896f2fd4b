"""One tick: all reads first, rule by rule, and one observation last.

The one rule: it stores nothing and changes nothing; whatever fails on the way
is raised, and the tick never was.

    1, 2, 3  look at the head; what is still on its chain?
    4        our own transactions, from their receipts
    5        what reached the treasury without us
    6        tokens: logs explain what differs
    7        native coins: the blocks in which they rose
    8        what nothing explains is a dispute of its pair; an old fall is adjusted
    9        what is deep enough is proven once more
    10       closed ranges: at depth, all logs are read once, whatever the balances say
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from paynode.chains.evm.agreement import Agreement, agreed_until, doubt_time, find_split
from paynode.chains.evm.claims import find_claimed
from paynode.chains.evm.closing import Closed, Ranges, close_due, log_floors, read_again, read_touched
from paynode.chains.evm.drift import Drift, is_ripe, is_ripe_fall, ripe_at, settle_falls
from paynode.chains.evm.explain import (
    cancelled_drift,
    differing,
    doubting_drift,
    is_drift,
    nonce_spent_twice,
    open_disputes,
    unbooked,
)
from paynode.chains.evm.fork import Fork, lowered_floors
from paynode.chains.evm.ground import agree_on_voids, learn_fork, look_at_head
from paynode.chains.evm.natives import Natives, find_natives
from paynode.chains.evm.opening import find_openings
from paynode.chains.evm.own import Mined, Patience, follow_own, reasons_in_flight, unmined
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.thrift import NativeMemory
from paynode.chains.evm.tokens import LogMemory, find_tokens
from paynode.chains.evm.verify import Verdict, verify
from paynode.chains.evm.views import Views
from paynode.chains.evm.watchlist import Watchlist
from paynode.domain.chain import Books, Observation, Pair, Row, confirmations


@dataclass(slots=True)
class Memory:
    """What a network remembers from tick to tick. Losing it costs calls and patience, never money."""

    logs: LogMemory = field(default_factory=LogMemory)
    natives: NativeMemory = field(default_factory=NativeMemory)
    ranges: Ranges = field(default_factory=Ranges)
    mined: dict[str, Mined] = field(default_factory=dict)  # by OwnTx.id
    patience: Patience = field(default_factory=Patience)
    suspected_at: dict[int, int] = field(default_factory=dict)  # by id of a confirmed row that seems gone: the head
    agreement: Agreement = field(default_factory=Agreement)
    opened: set[str] = field(default_factory=set)  # addresses of which it was asked what they had done before
    is_cursor_doubted: bool = False  # no provider has come as far for long: perhaps one made it up


@dataclass(slots=True)
class Tick:
    """One tick over the watched addresses."""

    views: Views
    depth: int  # confirmations of our own transactions
    watchlist: Watchlist
    books: Books
    memory: Memory
    our_time: datetime  # how late it may be, by our clock
    doubted: frozenset[Pair] = frozenset()  # with a confirmed row that is perhaps gone: nothing is concluded from them

    async def observe(self) -> Observation:
        memory, views = self.memory, self.views
        sight, fork = await self._look()
        voids = await agree_on_voids(sight, views, fork, memory.suspected_at)
        self.doubted = voids.pairs
        standing = [row for row in self.books.rows if row not in voids.agreed]

        mined, in_flight_addresses = await follow_own(sight, views, standing, memory.mined)
        rows = unbooked((row for one in mined for row in one.rows(sight)), standing)
        opened = await find_openings(sight, views.second, in_flight_addresses, memory.opened)
        rows += opened.rows
        patient = memory.patience.with_(in_flight_addresses, sight.head.number, self.depth)
        # What we signed will have a receipt; what else used up a nonce, as an EIP-7702 authorisation does, has none.
        awaited = patient | in_flight_addresses & {own.sender for own in unmined(self.books.own, mined)}
        claimed = await find_claimed(sight, views.second, [*standing, *rows], awaited)
        rows += claimed.rows
        rows += await self._tokens(sight, [*standing, *rows])
        booked = [*standing, *rows]
        open_tokens = self._open(sight, booked, is_native=False)
        rows += await read_touched(sight, views.primary, open_tokens, memory.ranges, booked)
        closed = await self._close(sight, [*standing, *rows])
        rows += closed.rows
        natives = await self._natives(sight, fork, [*standing, *rows], awaited, mined)
        rows += natives.rows

        cancelled = cancelled_drift(sight.balances, standing, rows)
        kept = [row for row in standing if row not in natives.dropped and row not in cancelled]
        rows = claimed.settle(sight, kept, rows)
        drift = await self._settle_falls(sight, kept, rows, mined)
        rows += drift.rows
        kept = [replace(row, credit=drift.credits[row.id]) if row.id in drift.credits else row for row in kept]
        open_pairs = differing(self.watchlist.pairs, sight.balances, [*kept, *rows])
        waiting = {pair for pair in open_pairs if self.watchlist.is_native(pair) and pair.address in patient}
        disputes = open_disputes(
            open_pairs - waiting,
            sight.balances,
            [*kept, *rows],
            sight.head,
            self.books.disputes,
            reasons_in_flight(sight, open_pairs, in_flight_addresses),
        )
        verdict = await self._verify(sight, [*kept, *rows], open_pairs, mined)
        memory.natives.doubt(natives.dropped, verdict.refused, [*kept, *rows], open_pairs)

        split = await find_split(sight, views, fork, memory.agreement)
        hold = voids.hold(views.primary.name) or verdict.disagreement or split
        orphaned = [*voids.agreed, *verdict.gone]
        fork = replace(fork, orphaned=tuple(orphaned))
        is_settled = not waiting and not verdict.gone and not verdict.refused and hold is None
        checkpoint = sight.head if is_settled else None
        return Observation(
            head=sight.head,
            checkpoint=checkpoint,
            agreed_until=await agreed_until(sight, views, fork, checkpoint, self.depth, memory.agreement),
            fork_number=fork.fork_number,
            rows=tuple(rows),
            voided=_ids(orphaned),
            dropped=_ids([*natives.dropped, *cancelled, *verdict.refused]),
            credits=drift.credits,
            confirmed=verdict.confirmed if hold is None else {},
            floors=opened.floors | closed.floors_without(open_pairs) | lowered_floors(self.books, self.watchlist, fork),
            ended=self._ended(closed, open_pairs, [*kept, *rows]) if is_settled else frozenset(),
            disputes=disputes,
            receipts=tuple(one.as_receipt() for one in mined),
            final_receipts=frozenset(verdict.final) if hold is None else frozenset(),
            claims=claimed.answers,
            read_again=read_again(sight, closed, memory.ranges, self.depth),
            coded=frozenset(memory.ranges.coded & set(self.watchlist.addresses)),
            openings=opened.nonces,
            hold=hold,
        )

    async def _look(self) -> tuple[Sight, Fork]:
        """Rules 1 to 3: the balances at the head, and what its chain no longer contains."""
        ranges, books = self.memory.ranges, self.books
        is_asked = books.is_wide and ranges.coded  # only then every sender of ours is known
        treasuries = sorted(books.treasuries - set(self.watchlist.addresses)) if is_asked else []
        heights = {one.block.number for one in self.memory.mined.values()}
        sight, look = await look_at_head(self.views.primary, books, self.watchlist, treasuries, heights)
        await doubt_time(sight.head, self.views, self.our_time)
        ranges.note_code(look.code_size_by_address, self.watchlist.addresses)
        return sight, await learn_fork(sight, is_cursor_doubted=self.memory.is_cursor_doubted)

    async def _tokens(self, sight: Sight, booked: list[Row]) -> list[Row]:
        """Rule 6, at each provider until every token is explained; what was only adjusted is not."""
        found: list[Row] = []
        booked = doubting_drift(sight.balances, booked)
        for source in self.views.sources:
            pairs = self._open(sight, [*booked, *found], is_native=False)
            self.memory.logs.keep_only(pairs)
            self.memory.logs.wake(source.name, sight, {pair: ripe_at(sight, self.views, pair) for pair in pairs})
            if not pairs:
                break
            with self.views.sparing_the_second():
                found += await find_tokens(sight, source, pairs, [*booked, *found], self.memory.logs)
        return found

    async def _close(self, sight: Sight, booked: list[Row]) -> Closed:
        """Rule 10, for all whose logs explain them; what is adjusted or disputed keeps its floor."""
        left_out = self._open(sight, booked, is_native=False) | self.doubted | {r.pair for r in booked if is_drift(r)}
        floors = {pair: floor for pair, floor in log_floors(sight).items() if pair not in left_out}
        return await close_due(
            sight, self.views, floors, sight.head.number - self.depth + 1, self.memory.ranges, booked
        )

    def _ended(self, closed: Closed, open_pairs: frozenset[Pair], rows: list[Row]) -> frozenset[str]:
        """The ending addresses of which nothing is open, all is read that can be, and no row may still be refused."""
        unsettled = {pair.address for pair in open_pairs | self.doubted | closed.unfinished}
        unsettled |= {row.address for row in rows if not row.confirmed}
        return frozenset(watch.address for watch in self.books.watches if watch.is_ending) - unsettled

    async def _natives(
        self, sight: Sight, fork: Fork, booked: list[Row], awaited: set[str], mined: list[Mined]
    ) -> Natives:
        """Rule 7, for every pair that waits for no receipt of ours."""
        pairs = {pair for pair in self._open(sight, booked, is_native=True) if pair.address not in awaited}
        if not pairs:
            return Natives()
        canonical_below = sight.head.number if fork.fork_number is None else fork.fork_number
        signing = {own.sender for own in unmined(self.books.own, mined)}
        ripe = {pair for pair in pairs if pair.address not in signing and is_ripe(sight, self.views, pair)}
        return await find_natives(sight, self.views, pairs, ripe, booked, canonical_below, self.memory.natives)

    async def _settle_falls(self, sight: Sight, kept: list[Row], fresh: list[Row], mined: list[Mined]) -> Drift:
        """The end of rule 8, for falls old enough; alone, it takes twice as long and the same balance twice."""
        moving = {row.pair for row in fresh}
        signing = {own.sender for own in unmined(self.books.own, mined)}
        ripe = {
            pair
            for pair in differing(self.watchlist.pairs - moving, sight.balances, kept)
            if pair.address not in signing and is_ripe_fall(sight, self.views, pair, kept, self.memory.logs)
        }
        drift = Drift()
        if ripe:
            with self.views.sparing_the_second():
                drift = await settle_falls(sight, self.views.second, ripe, kept)
        return drift

    async def _verify(self, sight: Sight, rows: list[Row], open_pairs: frozenset[Pair], mined: list[Mined]) -> Verdict:
        """Rule 9. While the other provider is away, our own may vouch for itself, at twice the depth."""
        factor = 2 if self.views.second is None and not self.views.is_alone else 1

        def is_deep(height: int, depth: int) -> bool:
            return confirmations(height, sight.head.number) >= depth * factor

        due = [
            row
            for row in rows
            if row.id is not None
            and not row.confirmed
            and row.pair in self.watchlist.pairs
            and row.pair not in open_pairs
            and is_deep(row.block.number, self.watchlist.watch_by_address[row.address].depth)
        ]
        final = [one for one in mined if is_deep(one.block.number, self.depth)]
        verdict = Verdict()
        if due or final:
            with self.views.sparing_the_second():
                verdict = await verify(sight, self.views.witness, due, final, rows)
        proven = [row for row in due if row.id in verdict.confirmed]
        verdict.disagreement = verdict.disagreement or nonce_spent_twice(proven, rows)
        return verdict

    def _open(self, sight: Sight, booked: list[Row], *, is_native: bool) -> set[Pair]:
        return {
            pair
            for pair in differing(self.watchlist.pairs - self.doubted, sight.balances, booked)
            if self.watchlist.is_native(pair) is is_native
        }


def _ids(rows: Iterable[Row]) -> tuple[int, ...]:
    return tuple(row.id for row in rows if row.id is not None)
