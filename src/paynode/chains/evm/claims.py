"""Transactions that somebody says paid us, read at once instead of searched for. I/O around `codec`.

The one rule: a claim points at evidence and is none. What it brought must be in
a receipt in a block that is an ancestor of the head, becomes ordinary rows, and
is proven at depth like all rows. It is never added to what is there: coins must
still fit into the balance beside all that is proven, and what a confirmed sum
may hold already stays in that sum.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from paynode.chains.evm.codec import row_of_value, rows_of_log
from paynode.chains.evm.explain import expected_units, is_replaceable, unbooked
from paynode.chains.evm.reads import Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.wire import Tx, TxReceipt
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import INFERRED, BlockRef, Claim, ClaimAnswer, Pair, Row, RowKind, RowSource


@dataclass(slots=True)
class Claimed:
    """The rows that claims brought, and the answer to each claim."""

    rows: list[Row] = field(default_factory=list)
    answers: dict[Claim, ClaimAnswer] = field(default_factory=dict)
    block_hash_by_claim: dict[Claim, str] = field(default_factory=dict)  # of those whose transaction succeeded

    def settle(self, sight: Sight, kept: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
        """Once all else is known: take back coins that do not fit after all; returns the rest of the new `rows`.

        A claim that brought nothing by itself may name the call by which a contract sent what was found in its block.
        """
        booked = [*kept, *rows]
        coins = [row for row in self.rows if sight.watchlist.is_native(row.pair)]
        refuted = [row for row in coins if _exceeds(sight, booked, row.pair)]
        hashes = {row.tx_hash for row in refuted}
        inside = {(row.address, row.block.hash) for row in booked if row.source is RowSource.INTERNAL}
        for claim, answer in self.answers.items():
            if claim.tx_hash in hashes:
                self.answers[claim] = ClaimAnswer.UNSETTLED
            elif answer is ClaimAnswer.ELSEWHERE and (claim.address, self.block_hash_by_claim.get(claim)) in inside:
                self.answers[claim] = ClaimAnswer.INCLUDED
        return [row for row in rows if row not in refuted]


async def find_claimed(
    sight: Sight, second: Reads | None, booked: Sequence[Row], in_flight_addresses: Collection[str]
) -> Claimed:
    """What the claims of the books bring that is not `booked` yet."""
    found = Claimed()
    ours = {tx_hash for own in sight.books.own for tx_hash in own.tx_hashes}
    mined = await _mined(sight, second, {claim.tx_hash for claim in sight.books.claims} - ours)
    for claim in sight.books.claims:
        if claim.tx_hash in ours:
            found.answers[claim] = ClaimAnswer.ELSEWHERE
        elif claim.tx_hash not in mined:
            found.answers[claim] = ClaimAnswer.UNKNOWN
        elif not (one := mined[claim.tx_hash]).receipt.succeeded:
            found.answers[claim] = ClaimAnswer.FAILED
        else:
            found.block_hash_by_claim[claim] = one.block.hash
            known = [*booked, *found.rows]
            brought = one.brought(sight, claim.address)
            fresh = {row: _fits(sight, row, known, in_flight_addresses) for row in unbooked(brought, known)}
            found.rows += [row for row, answer in fresh.items() if answer is ClaimAnswer.BOOKED]
            booked_before = [ClaimAnswer.BOOKED] if len(fresh) < len(brought) else []
            found.answers[claim] = _worst([*booked_before, *fresh.values()])
    return found


@dataclass(frozen=True, slots=True)
class _Mined:
    """A transaction in an ancestor of the head."""

    tx: Tx
    receipt: TxReceipt
    block: BlockRef

    def brought(self, sight: Sight, address: str) -> list[Row]:
        """What it brought to one address from outside: logs of listed contracts, and its own value."""
        watchlist = sight.watchlist
        rows = [
            row for log in self.receipt.logs for row in rows_of_log(log, self.block, self.tx, watchlist, RowSource.LOG)
        ]
        if (value := row_of_value(self.tx, self.block, watchlist, RowSource.TX)) is not None:
            rows.append(value)
        return [row for row in rows if row.kind is RowKind.IN and row.address == address and not row.own]


async def _mined(sight: Sight, second: Reads | None, hashes: set[str]) -> Mapping[str, _Mined]:
    """Those transactions that a provider has in an ancestor of the head, by hash."""
    found: dict[str, _Mined] = {}
    for source in (sight.reads,) if second is None else (sight.reads, second):
        try:
            receipts = await source.receipts(sorted(hashes - found.keys()))
            txs = await source.txs(sorted(receipts))
        except ProviderFailed as failure:
            if failure.provider == sight.reads.name:
                raise
            continue
        blocks = await sight.ancestors((int(r.block_number, 16), r.block_hash.lower()) for r in receipts.values())
        found |= {
            tx_hash: _Mined(txs[tx_hash], receipt, blocks[receipt.block_hash.lower()])
            for tx_hash, receipt in receipts.items()
            if tx_hash in txs and receipt.block_hash.lower() in blocks
        }
    return found


def _fits(sight: Sight, row: Row, booked: Sequence[Row], in_flight_addresses: Collection[str]) -> ClaimAnswer:
    """Whether `row` may become one beside those that are `booked`.

    A log is evidence of its own. Of coins the balance is: a confirmed sum without transactions may be these very
    coins, and more than what is there unexplained they cannot be.
    """
    of_pair = [other for other in booked if other.pair == row.pair]
    if any(other.tx_hash == row.tx_hash and other.block.hash != row.block.hash for other in of_pair):
        return ClaimAnswer.UNSETTLED  # it was in another block, and whether that is gone is not agreed yet
    if not sight.watchlist.is_native(row.pair):
        return ClaimAnswer.BOOKED
    if any(other.confirmed and _may_hold(other, row) for other in of_pair):
        return ClaimAnswer.INCLUDED
    proven = [other for other in of_pair if not is_replaceable(other)]
    is_moving = row.address in in_flight_addresses
    return ClaimAnswer.UNSETTLED if is_moving or _exceeds(sight, [*proven, row], row.pair) else ClaimAnswer.BOOKED


def _exceeds(sight: Sight, rows: Iterable[Row], pair: Pair) -> bool:
    """Whether `rows` say that more coins are there than the balance."""
    return expected_units(rows, pair) > (sight.balances[pair] or 0)


def _may_hold(inferred: Row, row: Row) -> bool:
    """Whether `inferred`, which stands for coins of unknown transactions, may stand for `row`, too."""
    if inferred.source not in INFERRED or inferred.kind is not RowKind.IN:
        return False
    if inferred.source is RowSource.INTERNAL:
        return inferred.block.hash == row.block.hash
    is_after = inferred.earliest_at is None or inferred.earliest_at <= row.block.at
    return is_after and row.block.number <= inferred.block.number


def _worst(answers: Collection[ClaimAnswer]) -> ClaimAnswer:
    """The answer to a claim by those to what it brought."""
    order = (ClaimAnswer.UNSETTLED, ClaimAnswer.INCLUDED, ClaimAnswer.BOOKED)
    return next((answer for answer in order if answer in answers), ClaimAnswer.ELSEWHERE)
