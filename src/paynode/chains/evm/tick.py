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

from paynode.chains.evm.claims import find_claimed
from paynode.chains.evm.closing import Closable, Closed, close_ranges, due, read_down
from paynode.chains.evm.drift import Drift, settle_falls
from paynode.chains.evm.explain import (
    cancelled_drift,
    differing,
    doubting_drift,
    expected_units,
    is_drift,
    nonce_spent_twice,
    open_disputes,
    unbooked,
)
from paynode.chains.evm.fork import Fork, all_heights, find_fork, is_doubtful, lowered_floors, young_heights
from paynode.chains.evm.natives import Natives, find_natives
from paynode.chains.evm.opening import find_openings
from paynode.chains.evm.own import Mined, Patience, find_own, in_flight, reasons_in_flight
from paynode.chains.evm.reads import Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.thrift import NativeMemory
from paynode.chains.evm.tokens import LogMemory, find_tokens
from paynode.chains.evm.treasury import Mark, touched_by_strangers
from paynode.chains.evm.verify import Verdict, verify
from paynode.chains.evm.watchlist import Watchlist
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import Books, Observation, OwnTx, Pair, Row, confirmations


class Behind(ProviderFailed):
    """The provider's head is below the cursor, on the same chain: a stale view, on which nothing is decided."""


@dataclass(slots=True)
class Memory:
    """What a network remembers from tick to tick. Losing it costs calls and patience, never money."""

    logs: LogMemory = field(default_factory=LogMemory)
    natives: NativeMemory = field(default_factory=NativeMemory)
    mined: dict[str, Mined] = field(default_factory=dict)  # by OwnTx.id
    patience: Patience = field(default_factory=Patience)
    suspected_at: dict[int, int] = field(default_factory=dict)  # by id of a confirmed row that seems gone: the head
    coded: set[str] = field(default_factory=set)  # addresses that had code when last looked at: others may call them
    treasury: dict[Pair, Mark] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)  # addresses of which it was asked what they had done before
    closed_at: datetime | None = None  # the head's time when ranges were closed last


@dataclass(slots=True)
class Tick:
    """One tick over all watched addresses, at `primary`; `second` is the other opinion."""

    primary: Reads
    second: Reads | None
    is_alone: bool  # there is no other provider in the config
    depth: int  # confirmations of our own transactions
    watchlist: Watchlist
    books: Books
    memory: Memory
    hold: str | None = None
    doubted: frozenset[Pair] = frozenset()  # with a confirmed row that is perhaps gone: nothing is concluded from them

    async def observe(self) -> Observation:
        sight, fork = await self._look()
        voided = await self._agreed_voids(sight, fork)
        standing = [row for row in self.books.rows if row not in voided]

        mined, in_flight_addresses = await self._own(sight, standing)
        rows = unbooked((row for one in mined for row in one.rows(sight)), standing)
        opened = await find_openings(sight, self.second, in_flight_addresses, self.memory.opened)
        rows += opened.rows
        patient = self.memory.patience.with_(in_flight_addresses, sight.head.number, self.depth)
        # What we signed will have a receipt; what else used up a nonce, as an EIP-7702 authorisation does, has none.
        awaited = patient | in_flight_addresses & {own.sender for own in self._without(mined)}
        claimed = await find_claimed(sight, self.second, [*standing, *rows], awaited)
        rows += claimed.rows
        rows += await self._tokens(sight, [*standing, *rows])
        rows += await self._touched(sight, [*standing, *rows])
        closed = await self._close(sight, [*standing, *rows])
        rows += closed.rows
        natives = await self._natives(sight, fork, [*standing, *rows], awaited)
        rows += natives.rows

        cancelled = cancelled_drift(sight.balances, standing, rows)
        kept = [row for row in standing if row not in natives.dropped and row not in cancelled]
        rows = claimed.settle(sight, kept, rows)
        drift = await self._settle_falls(sight, kept, rows, mined)
        rows += drift.rows
        kept = [replace(row, credit=drift.credits.get(row.id or 0, row.credit)) for row in kept]
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
        self.memory.natives.doubt(natives.dropped, verdict.refused, [*kept, *rows], open_pairs)

        orphaned = [*voided, *verdict.gone]
        fork = replace(fork, orphaned=tuple(orphaned))
        is_settled = not waiting and not verdict.gone and not verdict.refused and self.hold is None
        return Observation(
            head=sight.head,
            checkpoint=sight.head if is_settled else None,
            fork_number=fork.fork_number,
            rows=tuple(rows),
            voided=_ids(orphaned),
            dropped=_ids([*natives.dropped, *cancelled, *verdict.refused]),
            credits=drift.credits,
            confirmed=verdict.confirmed if self.hold is None else {},
            floors=opened.floors | closed.floors_without(open_pairs) | lowered_floors(self.books, self.watchlist, fork),
            ended=self._ended(closed, open_pairs) if is_settled else frozenset(),
            disputes=disputes,
            receipts=tuple(one.as_receipt() for one in mined),
            final_receipts=frozenset(verdict.final) if self.hold is None else frozenset(),
            claims=claimed.answers,
            coded=frozenset(self.memory.coded & set(self.watchlist.addresses)),
            openings=opened.nonces,
            hold=self.hold,
        )

    async def _look(self) -> tuple[Sight, Fork]:
        """Rules 1 to 3: the balances at the head, and what its chain no longer contains."""
        block = await self.primary.head()
        sight = Sight(self.primary, self.books, self.watchlist, block.ref, block.header)
        sight.blocks[block.ref.hash] = block.ref
        sight.blocks |= {row.block.hash: row.block for row in self.books.rows}
        heights = young_heights(self.books) | {one.block.number for one in self.memory.mined.values()}
        contracts = sorted(self.watchlist.method_by_contract)
        addresses = self.watchlist.addresses
        is_asked = self.books.is_wide and self.memory.coded  # only then every sender of ours is known
        treasuries = sorted(self.books.treasuries - set(addresses)) if is_asked else []
        look = await self.primary.look(block.header, [*addresses, *treasuries], contracts, heights)
        sight.hashes = {number: hash_ for number, hash_ in look.hash_by_number.items() if hash_ is not None}
        sight.hashes[block.ref.number] = block.ref.hash
        sight.balances = {
            pair: look.native_by_address[pair.address]
            if self.watchlist.is_native(pair)
            else look.units_by_holding[pair.address, self.watchlist.contract_by_method[pair.method]]
            for pair in self.watchlist.pairs
        }
        sight.treasuries = {
            Pair(address, method): look.units_by_holding[address, contract]
            for address in treasuries
            for method, contract in self.watchlist.contract_by_method.items()
        }
        self.memory.coded -= {address for address in addresses if look.code_size_by_address.get(address) == 0}
        self.memory.coded |= {address for address in addresses if look.code_size_by_address.get(address)}
        if (cursor := self.books.cursor) is not None:
            above = {row.block.number for row in self.books.rows if row.block.number > cursor.number}
            await sight.learn_hashes({cursor.number} | above)
        if is_doubtful(self.books, sight.head, sight.hashes):
            await sight.learn_hashes(all_heights(self.books))
        fork = find_fork(self.books, sight.head, sight.hashes)
        if fork is None:
            assert cursor is not None, "without a cursor no head is behind"
            raise Behind(self.primary.name, f"its head {sight.head.number} is below block {cursor.number} seen before")
        return sight, fork

    async def _agreed_voids(self, sight: Sight, fork: Fork) -> list[Row]:
        """Of what is orphaned, what may go void now: a confirmed row only by two opinions, or at two heads."""
        agreed = [row for row in fork.orphaned if not row.confirmed]
        doubted = [row for row in fork.orphaned if row.confirmed]
        suspected_before = self.memory.suspected_at
        self.memory.suspected_at = {id_: suspected_before.get(id_, sight.head.number) for id_ in _ids(doubted)}
        for row in doubted:
            if await self._is_gone_elsewhere(sight, row):
                agreed.append(row)
            else:
                self.hold = f"{self.primary.name} no longer has block {row.block.number} of a confirmed payment"
                self.doubted |= {row.pair}
        return agreed

    async def _is_gone_elsewhere(self, sight: Sight, row: Row) -> bool:
        if self.is_alone:
            assert row.id is not None, "books come from the store"
            return self.memory.suspected_at[row.id] < sight.head.number
        if self.second is None:
            return False
        try:
            (block,) = await self.second.blocks_by_number([row.block.number])
        except ProviderFailed:
            return False
        return block is not None and block.header.hash != row.block.hash

    async def _own(self, sight: Sight, standing: list[Row]) -> tuple[list[Mined], set[str]]:
        """Rule 4: our mined transactions, and the addresses that have sent more than we know of."""
        remembered = [self.memory.mined[own.id] for own in self.books.own if own.id in self.memory.mined]
        blocks = await sight.ancestors((one.block.number, one.block.hash) for one in remembered)
        mined = [one for one in remembered if one.block.hash in blocks]
        mined += await find_own(sight, self.primary, self._without(mined))
        moved = {pair.address for pair in differing(self.watchlist.pairs, sight.balances, standing)}
        missing = [own for own in self._without(mined) if own.sender in moved]
        if missing and self.second is not None:
            try:
                mined += await find_own(sight, self.second, missing)
            except ProviderFailed as failure:
                if failure.provider == self.primary.name:
                    raise
        self.memory.mined = {one.own.id: one for one in mined}
        booked = [*standing, *unbooked((row for one in mined for row in one.rows(sight)), standing)]
        native = {
            pair.address
            for pair in differing(self.watchlist.pairs, sight.balances, booked)
            if self.watchlist.is_native(pair)
        }
        return mined, await in_flight(sight, native, mined)

    def _without(self, mined: Iterable[Mined]) -> list[OwnTx]:
        known = {one.own.id for one in mined}
        return [own for own in self.books.own if own.id not in known]

    async def _tokens(self, sight: Sight, booked: list[Row]) -> list[Row]:
        """Rule 6, at each provider until every token is explained; what was only adjusted is not."""
        found: list[Row] = []
        booked = doubting_drift(sight.balances, booked)
        for source in self._sources():
            pairs = self._open(sight, [*booked, *found], is_native=False)
            self.memory.logs.keep_only(pairs)
            self.memory.logs.wake(source.name, sight, {pair: self._ripe_at(pair) for pair in pairs})
            if not pairs:
                break
            try:
                found += await find_tokens(sight, source, pairs, [*booked, *found], self.memory.logs)
            except ProviderFailed as failure:
                if source is self.primary or failure.provider == self.primary.name:
                    raise
        return found

    async def _touched(self, sight: Sight, booked: list[Row]) -> list[Row]:
        """Rule 5, and other pairs whose right balance is not believed: all of their logs are read.

        Those somebody asked us to look at again, and those whose dispute ends by itself: a payment as large as what
        was missing makes the balance right, too.
        """
        touched = await touched_by_strangers(
            sight, self.primary, sight.treasuries, self.memory.treasury, frozenset(self.memory.coded)
        )
        touched |= {pair for pair in self.watchlist.pairs if pair.address in self.books.touched}
        touched |= self.books.disputes.keys() - self._open(sight, booked, is_native=False)
        floors = {pair: floor for pair, floor in self._log_floors().items() if pair in touched}
        return await read_down(sight, self.primary, floors, booked)

    async def _close(self, sight: Sight, booked: list[Row]) -> Closed:
        """Rule 10, for all whose logs explain them; what is adjusted or disputed keeps its floor."""
        source = self.second or self.primary
        high = sight.head.number - self.depth + 1
        open_pairs = self._open(sight, booked, is_native=False) | self.doubted
        adjusted = {row.pair for row in booked if is_drift(row)}
        floors = {p: f for p, f in self._log_floors().items() if p not in open_pairs and p not in adjusted}
        ending = {watch.address for watch in self.books.watches if watch.is_ending}
        closable = Closable(
            floors=floors,
            exposed=frozenset(pair for pair in floors if pair.address in self.memory.coded),
            ending=frozenset(pair for pair in floors if pair.address in ending),
        )
        since = None if self.memory.closed_at is None else sight.head.at - self.memory.closed_at
        pairs = due(closable, high, source.log_blocks, since)
        try:
            closed = await close_ranges(sight, source, {pair: floors[pair] for pair in pairs}, high, booked)
        except ProviderFailed as failure:
            if failure.provider == self.primary.name:
                raise
            return Closed(unfinished=pairs)
        if pairs and not closed.unfinished:
            self.memory.closed_at = sight.head.at
        return closed

    def _log_floors(self) -> dict[Pair, int]:
        """The floors of all pairs that have logs."""
        watch_by_address = self.watchlist.watch_by_address
        return {
            pair: self.books.floor(watch_by_address[pair.address], pair.method)
            for pair in self.watchlist.pairs
            if not self.watchlist.is_native(pair)
        }

    def _ended(self, closed: Closed, open_pairs: frozenset[Pair]) -> frozenset[str]:
        """The ending addresses of which nothing is open, and all is read that can be."""
        unsettled = {pair.address for pair in open_pairs | self.doubted | closed.unfinished}
        return frozenset(watch.address for watch in self.books.watches if watch.is_ending) - unsettled

    async def _natives(self, sight: Sight, fork: Fork, booked: list[Row], awaited: set[str]) -> Natives:
        """Rule 7, for every pair that waits for no receipt of ours."""
        pairs = {pair for pair in self._open(sight, booked, is_native=True) if pair.address not in awaited}
        if not pairs:
            return Natives()
        canonical_below = sight.head.number if fork.fork_number is None else fork.fork_number
        return await find_natives(sight, self.primary, pairs, booked, canonical_below, self.memory.natives)

    async def _settle_falls(self, sight: Sight, kept: list[Row], fresh: list[Row], mined: list[Mined]) -> Drift:
        """The end of rule 8, for falls old enough; alone, it takes twice as long and the same balance twice."""
        moving = {row.pair for row in fresh}
        signing = {own.sender for own in self._without(mined)}
        ripe = {
            pair
            for pair in differing(self.watchlist.pairs - moving, sight.balances, kept)
            if pair.address not in signing and self._is_ripe_fall(sight, pair, kept)
        }
        if not ripe:
            return Drift()
        try:
            return await settle_falls(sight, self.second, ripe, kept)
        except ProviderFailed as failure:
            if failure.provider == self.primary.name:
                raise
            return Drift()

    def _is_ripe_fall(self, sight: Sight, pair: Pair, rows: list[Row]) -> bool:
        """Whether the balance is below the books for long, and all logs were read since without finding out why."""
        ripe_at, units = self._ripe_at(pair), sight.balances[pair]
        if ripe_at is None or sight.head.number < ripe_at or units is None or units >= expected_units(rows, pair):
            return False
        logs = self.memory.logs
        return self.watchlist.is_native(pair) or all(
            logs.has_read(each.name, pair, units, ripe_at) for each in self._sources()
        )

    def _ripe_at(self, pair: Pair) -> int | None:
        """The height at which a dispute is old enough to be settled."""
        dispute = self.books.disputes.get(pair)
        if dispute is None:
            return None
        depth = self.watchlist.watch_by_address[pair.address].depth
        return dispute.since.number + depth * (2 if self.second is None else 1) - 1

    async def _verify(self, sight: Sight, rows: list[Row], open_pairs: frozenset[Pair], mined: list[Mined]) -> Verdict:
        """Rule 9. While the other provider is away, our own may vouch for itself, at twice the depth."""
        factor = 2 if self.second is None and not self.is_alone else 1
        source = self.second or self.primary

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
        if not due and not final:
            return Verdict()
        try:
            verdict = await verify(sight, source, due, final, rows)
        except ProviderFailed as failure:
            if failure.provider == self.primary.name:
                raise
            return Verdict()
        proven = [row for row in due if row.id in verdict.confirmed]
        self.hold = self.hold or verdict.disagreement or nonce_spent_twice(proven, rows)
        return verdict

    def _sources(self) -> list[Reads]:
        return [self.primary] if self.second is None else [self.primary, self.second]

    def _open(self, sight: Sight, booked: list[Row], *, is_native: bool) -> set[Pair]:
        return {
            pair
            for pair in differing(self.watchlist.pairs - self.doubted, sight.balances, booked)
            if self.watchlist.is_native(pair) is is_native
        }


def _ids(rows: Iterable[Row]) -> tuple[int, ...]:
    return tuple(row.id for row in rows if row.id is not None)
