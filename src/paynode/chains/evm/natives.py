"""Rule 7: the blocks in which native coins arrived. I/O around `search.Climb` and `explain.explain_step`.

Inferred rows that are not confirmed are dropped and inferred anew, never added
to. Either every step of a rise is found and they sum to it, or nothing of the
pair is stored. Only where the state is pruned does a sum become `unplaced`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from paynode.chains.evm.explain import Inconsistent, expected_units, explain_step, is_replaceable
from paynode.chains.evm.reads import Pruned, Reads
from paynode.chains.evm.search import Climb, agreed_checkpoint, readable_heights, start_heights
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.wire import FullBlock, TxReceipt
from paynode.domain.chain import BlockRef, Pair, Row, RowKind, RowSource


@dataclass(slots=True)
class Natives:
    """What the search for native coins found."""

    rows: list[Row] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)  # what `rows` replaces


@dataclass(slots=True)
class _Rise:
    """One pair's rise, on its way to be placed."""

    pair: Pair
    proven: list[Row]
    replaceable: list[Row]
    climb: Climb
    unplaced: Row | None = None


async def find_natives(
    sight: Sight, source: Reads, pairs: Iterable[Pair], booked: Sequence[Row], canonical_below: int
) -> Natives:
    """The rows that explain native `pairs`, as far as `source` can place them; a fall explains nothing.

    `canonical_below` is the height up to which checkpoints are known to be on the head's chain.
    """
    rises = [
        rise
        for pair in sorted(pairs)
        if (rise := await _begin(sight, source, pair, booked, canonical_below)) is not None
    ]
    await _climb(sight, source, rises)
    steps_by_pair = {rise.pair: rise.climb.steps() for rise in rises}
    heights = {height for steps in steps_by_pair.values() for height, _ in steps or ()}
    blocks = await _blocks(sight, heights)
    receipts = await _receipts(sight, blocks, {pair.address.lower() for pair in steps_by_pair})
    found = Natives()
    for rise in rises:
        steps = steps_by_pair[rise.pair]
        if steps is None:
            continue
        rows = [rise.unplaced] if rise.unplaced is not None else []
        try:
            for height, units in steps:
                rows += explain_step(rise.pair, units, blocks[height], receipts, rise.proven, sight.watchlist)
        except Inconsistent:
            continue
        _replace(found, rise.replaceable, rows)
    return found


def _replace(found: Natives, replaceable: Sequence[Row], rows: Sequence[Row]) -> None:
    """Drop what is inferred differently now; what is inferred again as it was stays."""
    known = {(row.key, row.units) for row in replaceable}
    again = {(row.key, row.units) for row in rows}
    found.rows += [row for row in rows if (row.key, row.units) not in known]
    found.dropped += [row for row in replaceable if (row.key, row.units) not in again]


async def _begin(sight: Sight, source: Reads, pair: Pair, booked: Sequence[Row], canonical_below: int) -> _Rise | None:
    """Where the bisect of `pair` starts, or None: it has fallen, or at no height does it equal the books."""
    replaceable = [row for row in booked if row.pair == pair and is_replaceable(row)]
    proven = [row for row in booked if row.pair == pair and not is_replaceable(row)]
    head = sight.head.number
    at_head = sight.balances[pair]
    assert at_head is not None, "a native balance is always known"
    rise = at_head - expected_units(proven, pair)
    if rise < 0:
        return None
    floor = sight.books.floor(sight.watchlist.watch_by_address[pair.address], pair.method)
    floor = min(floor, head)
    agreed = agreed_checkpoint(sight.books, pair, replaceable, canonical_below)

    async def residual(height: int) -> int:
        (units,) = await source.balances([(pair.address, height)], head)
        return units - expected_units(proven, pair, height)

    try:
        for height in start_heights(agreed.number if agreed else floor, head, floor):
            if await residual(height) == 0:
                return _Rise(pair, proven, replaceable, Climb({height: 0, head: rise}))
        return None
    except Pruned:
        pass
    for height in readable_heights(head, floor):
        try:
            lowest = rise if height == head else await residual(height)
        except Pruned:
            continue
        if lowest < 0:
            return None
        # What was unplaced before, below all that can be read, stays: dropping it would only make it younger.
        kept = [row for row in replaceable if row.source is RowSource.UNPLACED and row.block.number <= height]
        if sum(row.units for row in kept) > lowest:
            kept = []
        kept_units = sum(row.units for row in kept)
        rest = lowest - kept_units
        loose = [row for row in replaceable if row not in kept]
        result = _Rise(pair, proven + kept, loose, Climb({height: rest, head: rise - kept_units}))
        if rest:
            result.unplaced = await _unplaced(sight, pair, rest, height, agreed, loose)
        return result
    return None


async def _unplaced(
    sight: Sight, pair: Pair, units: int, height: int, agreed: BlockRef | None, replaced: Sequence[Row]
) -> Row:
    """`units` that arrived at or below `height`, after the last checkpoint at which the pair equalled the books."""
    await sight.learn_hashes([height])
    hash_ = sight.hashes[height]
    block = (await sight.ancestors([(height, hash_)]))[hash_]
    bounds = [row.earliest_at for row in replaced if row.earliest_at is not None]
    if agreed is not None:
        bounds.append(agreed.at)
    return Row(
        RowKind.IN, RowSource.UNPLACED, pair.address, pair.method, units, block, earliest_at=min(bounds, default=None)
    )


async def _climb(sight: Sight, source: Reads, rises: Sequence[_Rise]) -> None:
    """Read balances, for all pairs together, until every step is between two neighbouring blocks."""
    while asks := [(rise, height) for rise in rises for height in rise.climb.wanted()]:
        balances = await source.balances([(rise.pair.address, height) for rise, height in asks], sight.head.number)
        for (rise, height), units in zip(asks, balances, strict=True):
            rise.climb.residual_by_height[height] = units - expected_units(rise.proven, rise.pair, height)


async def _blocks(sight: Sight, heights: set[int]) -> dict[int, FullBlock]:
    """The head's ancestors at `heights`, with their transactions."""
    await sight.learn_hashes(heights)
    blocks = {height: await sight.reads.full_block(sight.hashes[height]) for height in sorted(heights)}
    sight.blocks |= {block.ref.hash: block.ref for block in blocks.values()}
    return blocks


async def _receipts(sight: Sight, blocks: dict[int, FullBlock], addresses_lower: set[str]) -> dict[str, TxReceipt]:
    """The receipts of all transactions in `blocks` to one of the addresses."""
    hashes = sorted(
        tx.hash.lower()
        for block in blocks.values()
        for tx in block.transactions
        if (tx.to or "").lower() in addresses_lower and int(tx.value, 16)
    )
    return await sight.reads.receipts(hashes)
