"""Rule 4: what became of our own transactions. I/O.

Rows come from receipts in blocks that are ancestors of the head, never from
what was planned. While the chain counts more transactions of an address than
we have receipts of, its native coins are not searched: what moved may be ours.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from paynode.chains.evm.codec import rows_of_own
from paynode.chains.evm.explain import differing, unbooked
from paynode.chains.evm.reads import Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.views import Views
from paynode.chains.evm.wire import Tx, TxReceipt
from paynode.domain.chain import BlockRef, OwnTx, Pair, Receipt, Row


@dataclass(frozen=True, slots=True)
class Mined:
    """One of our transactions, and the version of it that was mined."""

    own: OwnTx
    tx: Tx
    receipt: TxReceipt
    block: BlockRef

    def rows(self, sight: Sight) -> list[Row]:
        return rows_of_own(self.tx, self.receipt, self.block, sight.watchlist)

    def as_receipt(self) -> Receipt:
        return Receipt(self.own.id, self.tx.hash.lower(), self.block, self.receipt.succeeded, self.receipt.fee_units)


async def find_own(sight: Sight, source: Reads, asked: Iterable[OwnTx]) -> list[Mined]:
    """Those of `asked` that `source` has a receipt of, in a block that is an ancestor of the head."""
    own_by_hash = {tx_hash: own for own in asked for tx_hash in own.tx_hashes}
    receipts = await source.receipts(list(own_by_hash))
    blocks = await sight.ancestors((int(r.block_number, 16), r.block_hash.lower()) for r in receipts.values())
    mined = [tx_hash for tx_hash, receipt in receipts.items() if receipt.block_hash.lower() in blocks]
    txs = await source.txs(mined)
    return [
        Mined(own_by_hash[tx_hash], txs[tx_hash], receipts[tx_hash], blocks[receipts[tx_hash].block_hash.lower()])
        for tx_hash in mined
        if tx_hash in txs
    ]


async def follow_own(
    sight: Sight, views: Views, standing: Sequence[Row], known: dict[str, Mined]
) -> tuple[list[Mined], set[str]]:
    """Our mined transactions, and the addresses that have sent more than we know of.

    `known` are those found before, by OwnTx.id; it is brought up to date.
    """
    books, watchlist = sight.books, sight.watchlist
    remembered = [known[own.id] for own in books.own if own.id in known]
    blocks = await sight.ancestors((one.block.number, one.block.hash) for one in remembered)
    mined = [one for one in remembered if one.block.hash in blocks]
    mined += await find_own(sight, views.primary, unmined(books.own, mined))
    moved = {pair.address for pair in differing(watchlist.pairs, sight.balances, standing)}
    missing = [own for own in unmined(books.own, mined) if own.sender in moved]
    if missing and views.second is not None:
        with views.sparing_the_second():
            mined += await find_own(sight, views.second, missing)
    known.clear()
    known |= {one.own.id: one for one in mined}
    booked = [*standing, *unbooked((row for one in mined for row in one.rows(sight)), standing)]
    open_pairs = differing(watchlist.pairs, sight.balances, booked)
    return mined, await in_flight(sight, {pair.address for pair in open_pairs if watchlist.is_native(pair)}, mined)


def unmined(asked: Iterable[OwnTx], mined: Iterable[Mined]) -> list[OwnTx]:
    """Those of `asked` that are not among the `mined`."""
    found = {one.own.id for one in mined}
    return [own for own in asked if own.id not in found]


async def in_flight(sight: Sight, addresses: Collection[str], mined: Sequence[Mined]) -> set[str]:
    """Those of `addresses` that have sent more than we have receipts of."""
    asked = sorted(address for address in addresses if address in sight.books.own_addresses)
    nonces = await sight.reads.nonces(asked, sight.header)
    receipts = [one.own.sender for one in mined]
    return {
        address
        for address, nonce in zip(asked, nonces, strict=True)
        if nonce > sight.books.own_nonces.get(address, 0) + receipts.count(address)
    }


def reasons_in_flight(sight: Sight, pairs: Iterable[Pair], addresses: Collection[str]) -> dict[Pair, str]:
    """Why those of `pairs` differ whose address is in flight, for people."""
    reason = "its key has sent a transaction that we have no receipt of"
    return {pair: reason for pair in pairs if sight.watchlist.is_native(pair) and pair.address in addresses}


@dataclass(slots=True)
class Patience:
    """How long something has been in flight: by address, the first head at which it was."""

    since_by_address: dict[str, int] = field(default_factory=dict)

    def with_(self, addresses: Collection[str], head_number: int, depth: int) -> set[str]:
        """Those of `addresses`, which are in flight now, whose receipt is still waited for: for `depth` blocks."""
        before = self.since_by_address
        self.since_by_address = {each: before.get(each, head_number) for each in addresses}
        return {address for address, since in self.since_by_address.items() if head_number - since < depth}
