"""Rules 1 to 3: what a tick stands on. The balances at a head, and which of what we know is still on its chain. I/O.

A confirmed row goes void only by two opinions, or, where there is only one provider, at two heads. Until then the
network holds, and nothing is concluded from that row's pair.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from paynode.chains.evm.fork import (
    Fork,
    all_heights,
    checkpoints_below,
    deep_heights,
    fall_back,
    find_fork,
    is_deep,
    is_doubtful,
    young_heights,
)
from paynode.chains.evm.look import Look
from paynode.chains.evm.reads import Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.views import Views
from paynode.chains.evm.watchlist import Watchlist
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import Books, Pair, Row


class Behind(ProviderFailed):
    """The provider's head is below the cursor, on the same chain: a stale view, on which nothing is decided."""


@dataclass(slots=True)
class Voids:
    """What left the chain, and what perhaps did."""

    agreed: list[Row] = field(default_factory=list)
    doubted: list[Row] = field(default_factory=list)

    @property
    def pairs(self) -> frozenset[Pair]:
        return frozenset(row.pair for row in self.doubted)

    def hold(self, provider: str) -> str | None:
        numbers = sorted({row.block.number for row in self.doubted})
        return f"{provider} no longer has block {numbers[0]} of a confirmed payment" if numbers else None


async def look_at_head(
    reads: Reads, books: Books, watchlist: Watchlist, treasuries: Collection[str], heights: Collection[int]
) -> tuple[Sight, Look]:
    """The balances at the head, and its hashes at `heights` and at those of the young rows."""
    block = await reads.head()
    sight = Sight(reads, books, watchlist, block.ref, block.header)
    sight.blocks[block.ref.hash] = block.ref
    sight.blocks |= {row.block.hash: row.block for row in books.rows}
    contracts = sorted(watchlist.method_by_contract)
    addresses = [*watchlist.addresses, *treasuries]
    look = await reads.look(block.header, addresses, contracts, young_heights(books) | set(heights))
    sight.hashes = {number: hash_ for number, hash_ in look.hash_by_number.items() if hash_ is not None}
    sight.hashes[block.ref.number] = block.ref.hash
    sight.balances = {pair: watchlist.units(look, pair) for pair in watchlist.pairs}
    sight.treasuries = {
        Pair(address, method): look.units_by_holding[address, contract]
        for address in treasuries
        for method, contract in watchlist.contract_by_method.items()
    }
    return sight, look


async def learn_fork(sight: Sight, *, is_cursor_doubted: bool) -> Fork:
    """Where the head's chain left what we knew; a cursor that is doubted may have left it by being above the head.

    Raises:
        Behind: nowhere, but the head is below the cursor.
        PastGone: below the horizon, and below something that is final.
    """
    books = sight.books
    if books.cursor is not None:
        above = {row.block.number for row in books.rows if row.block.number > books.cursor.number}
        await sight.learn_hashes({books.cursor.number} | above)
    if is_doubtful(books, sight.head, sight.hashes):
        await sight.learn_hashes(all_heights(books))
        if is_deep(books, sight.hashes):
            await sight.learn_hashes(deep_heights(books))
    fork = find_fork(books, sight.head, sight.hashes)
    if fork is None and is_cursor_doubted:
        await sight.learn_hashes(each.number for each in checkpoints_below(books, sight.head))
        fork = fall_back(books, sight.head, sight.hashes)
    if fork is None:
        assert books.cursor is not None, "without a cursor no head is behind"
        behind = f"its head {sight.head.number} is below block {books.cursor.number} seen before"
        raise Behind(sight.reads.name, behind)
    return fork


async def agree_on_voids(sight: Sight, views: Views, fork: Fork, suspected_at: dict[int, int]) -> Voids:
    """What of the orphaned rows goes void; `suspected_at` remembers at which head a confirmed one was first missed."""
    voids = Voids(agreed=[row for row in fork.orphaned if not row.confirmed])
    before = dict(suspected_at)
    suspected_at.clear()
    for row in fork.orphaned:
        if not row.confirmed:
            continue
        assert row.id is not None, "books come from the store"
        suspected_at[row.id] = before.get(row.id, sight.head.number)
        if await _is_gone_elsewhere(sight, views, row, suspected_at[row.id]):
            voids.agreed.append(row)
        else:
            voids.doubted.append(row)
    return voids


async def _is_gone_elsewhere(sight: Sight, views: Views, row: Row, suspected_at: int) -> bool:
    if views.is_alone:
        return suspected_at < sight.head.number
    if views.second is None:
        return False
    try:
        (block,) = await views.second.blocks_by_number([row.block.number])
    except ProviderFailed:
        return False
    return block is not None and block.header.hash != row.block.hash
