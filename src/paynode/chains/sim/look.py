"""One tick of the scanner on a simulated network: the world against the books. Pure.

The world shows everything at once, so nothing is searched in steps, nothing is doubted and nothing is inferred;
what is promised of an `Observation` holds as on any network.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from paynode.chains.base import DeepReorg
from paynode.chains.sim.shapes import Block, Mined, Move
from paynode.chains.sim.world import World
from paynode.domain.chain import (
    Books,
    Claim,
    ClaimAnswer,
    Dispute,
    Observation,
    Pair,
    Receipt,
    Row,
    RowKind,
    RowSource,
    Watch,
    confirmations,
)


def observe(world: World, books: Books, own_depth: int) -> Observation:
    """What `books` do not know of `world` yet. Our own transactions are final at `own_depth` confirmations.

    Raises:
        DeepReorg: the chain replaced blocks below the books' horizon, or is shorter, as no reorg makes it.
    """
    return _Look(world, books, own_depth, {watch.address: watch for watch in books.watches}).observation()


@dataclass(frozen=True, slots=True)
class _Look:
    world: World
    books: Books
    own_depth: int
    watches: dict[str, Watch]  # by address

    def observation(self) -> Observation:
        gone = [row for row in self.books.rows if not self.world.is_canonical(row.block)]
        fork_number = self._fork_number(gone)
        standing = [row for row in self.books.rows if row not in gone]
        floors = self._floors(fork_number)
        rows = self._new_rows(standing, floors)
        claimed, answers = self._claimed([*standing, *rows])
        rows += claimed
        disputes = self._disputes([*standing, *rows])
        receipts = tuple(self._receipts())
        return Observation(
            head=self.world.head,
            checkpoint=self.world.head,
            agreed_until=self.world.head.at,
            fork_number=fork_number,
            rows=rows,
            voided=tuple(row.id for row in gone if row.id is not None),
            confirmed={
                row.id: row.credited_units
                for row in standing
                if row.id is not None and not row.confirmed and self._is_deep(row) and row.pair not in disputes
            },
            floors={pair: floor for pair, floor in floors.items() if floor != self._known_floor(pair)},
            ended=frozenset(watch.address for watch in self.books.watches if watch.is_ending)
            - {pair.address for pair in disputes},
            disputes=disputes,
            receipts=receipts,
            final_receipts=frozenset(each.id for each in receipts if self._depth(each.block.number) >= self.own_depth),
            claims=answers,
            read_again=self.books.touched,
        )

    def _fork_number(self, gone: Iterable[Row]) -> int | None:
        """The newest checkpoint that still stands, if some do not."""
        if (cursor := self.books.cursor) is None:
            return None
        fallen = [checkpoint for checkpoint in self.books.checkpoints if not self.world.is_canonical(checkpoint)]
        if self.world.head.number < cursor.number:
            raise DeepReorg(f"this network never had a block {cursor.number}: it is not the one seen before")
        lowest = cursor.number - self.books.horizon
        if any(block.number <= lowest for block in chain(fallen, (row.block for row in gone))):
            raise DeepReorg(f"blocks more than {self.books.horizon} below block {cursor.number} were replaced")
        if not fallen:
            return None
        standing = (checkpoint.number for checkpoint in self.books.checkpoints if checkpoint not in fallen)
        return max(standing, default=fallen[-1].number - 1)

    def _floors(self, fork_number: int | None) -> dict[Pair, int]:
        """Of every watched pair: below all that a new fork brought, even if the address was shown on the old one."""
        floors = {pair: self._known_floor(pair) for pair in self._pairs()}
        if fork_number is None:
            return floors
        return {pair: min(floor, fork_number) for pair, floor in floors.items()}

    def _known_floor(self, pair: Pair) -> int:
        return self.books.floor(self.watches[pair.address], pair.method)

    def _new_rows(self, standing: Iterable[Row], floors: Mapping[Pair, int]) -> tuple[Row, ...]:
        """Every movement of a watched pair above its floor that is in no row."""
        keys = {row.key for row in standing}
        return tuple(
            row
            for block in self.world.blocks_above(min(floors.values(), default=self.world.head.number))
            for mined in block.mined
            if self._is_ours(mined)
            for row in self._rows_of(block, mined)
            if row.pair in floors and block.number > floors[row.pair] and row.key not in keys
        )

    def _claimed(self, booked: Iterable[Row]) -> tuple[tuple[Row, ...], dict[Claim, ClaimAnswer]]:
        """What claimed transactions brought that is in no row yet, at whatever height; and the answer to each claim."""
        if not self.books.claims:
            return (), {}
        rows = {row.key: row for row in booked}
        known = set(rows)
        answers: dict[Claim, ClaimAnswer] = {}
        for claim in self.books.claims:
            if (found := self.world.find(claim.tx_hash)) is None:
                answers[claim] = ClaimAnswer.UNKNOWN
            elif not found[1].succeeded:
                answers[claim] = ClaimAnswer.FAILED
            else:
                brought = [row for row in self._rows_of(*found) if self._is_brought(row, claim.address)]
                rows |= {row.key: row for row in brought if row.key not in known}
                answers[claim] = ClaimAnswer.BOOKED if brought else ClaimAnswer.ELSEWHERE
        return tuple(row for key, row in rows.items() if key not in known), answers

    def _is_brought(self, row: Row, address: str) -> bool:
        """Whether `row` is money from outside for that address, in a coin that is watched on it."""
        is_watched = address in self.watches and row.method in self.watches[address].methods
        return is_watched and row.kind is RowKind.IN and row.address == address and not row.own

    def _is_ours(self, mined: Mined) -> bool:
        return mined.tx.sender in self.watches or any(move.recipient in self.watches for move in mined.tx.moves)

    def _rows_of(self, block: Block, mined: Mined) -> Iterator[Row]:
        """All that a transaction did, watched or not: tokens move by move, native coins in one row for each side."""
        native: dict[str, int] = {}
        for index, move in enumerate(mined.tx.moves if mined.succeeded else ()):
            if move.method == self.world.native:
                native[move.recipient] = native.get(move.recipient, 0) + move.units
                continue
            if mined.tx.is_keyed:
                yield self._row(RowKind.OUT, mined, block, Move(mined.tx.sender, move.method, move.units), index)
            yield self._row(RowKind.IN, mined, block, move, index)
        if mined.tx.is_keyed:
            spent = mined.tx.fee_units + sum(native.values())
            yield self._row(RowKind.OUT, mined, block, Move(mined.tx.sender, self.world.native, spent), -1)
        for recipient, units in native.items():
            yield self._row(RowKind.IN, mined, block, Move(recipient, self.world.native, units), -1)

    def _row(self, kind: RowKind, mined: Mined, block: Block, move: Move, log_index: int) -> Row:
        tx = mined.tx
        is_own = tx.sender in self.books.own_addresses
        return Row(
            kind=kind,
            source=RowSource.RECEIPT if is_own else RowSource.TX if log_index < 0 else RowSource.LOG,
            address=move.recipient if kind is RowKind.IN else tx.sender,
            method=move.method,
            units=move.units,
            block=block.ref,
            tx_hash=tx.hash,
            log_index=log_index,
            sender=tx.sender,
            tx_sender=tx.sender,
            tx_nonce=tx.nonce,
            own=is_own,
        )

    def _disputes(self, rows: Iterable[Row]) -> dict[Pair, Dispute]:
        """The pairs whose balance is not what `rows` say: money that came before we watched, or a mistake of ours."""
        expected: dict[Pair, int] = {}
        for row in rows:
            expected[row.pair] = expected.get(row.pair, 0) + row.effect
        disputes: dict[Pair, Dispute] = {}
        for pair in self._pairs():
            observed = self.world.units(pair.address, pair.method)
            if observed != expected.get(pair, 0):
                since = self.books.disputes[pair].since if pair in self.books.disputes else self.world.head
                reason = "no transfer since we watch this address explains the difference"
                disputes[pair] = Dispute(pair, since, expected.get(pair, 0), observed, reason)
        return disputes

    def _receipts(self) -> Iterator[Receipt]:
        for own in self.books.own:
            for tx_hash in own.tx_hashes:
                if (found := self.world.find(tx_hash)) is not None:
                    block, mined = found
                    yield Receipt(own.id, tx_hash, block.ref, mined.succeeded, mined.tx.fee_units)

    def _pairs(self) -> Iterator[Pair]:
        return (Pair(watch.address, method) for watch in self.books.watches for method in watch.methods)

    def _is_deep(self, row: Row) -> bool:
        watch = self.watches.get(row.address)
        return watch is not None and row.method in watch.methods and self._depth(row.block.number) >= watch.depth

    def _depth(self, number: int) -> int:
        return confirmations(number, self.world.head.number)
