"""Rule 7: the blocks in which native coins arrived. I/O around `search.Climb` and `explain`.

Either every step of a rise is found and they sum to it, or nothing of the pair is stored. Balances decide how much
came and where; a trace, where a provider offers one, only names the transactions that brought it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from paynode.chains.evm.explain import Inconsistent, expected_units, explain_step
from paynode.chains.evm.names import as_before, is_nameless, name_rows, read_transfers
from paynode.chains.evm.rises import Rise, Starter, Unplaced
from paynode.chains.evm.search import Step
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.states import States
from paynode.chains.evm.thrift import NativeMemory
from paynode.chains.evm.views import Views
from paynode.chains.evm.wire import FullBlock, TxReceipt
from paynode.domain.chain import BlockRef, Pair, Row, RowKind, RowSource


@dataclass(slots=True)
class Natives:
    """What the search for native coins found."""

    rows: list[Row] = field(default_factory=list)
    dropped: list[Row] = field(default_factory=list)  # what `rows` replaces


async def find_natives(
    sight: Sight,
    views: Views,
    pairs: Iterable[Pair],
    ripe: Collection[Pair],
    booked: Sequence[Row],
    canonical_below: int,
    memory: NativeMemory,
) -> Natives:
    """The rows that explain native `pairs`, as far as the first provider can place them.

    A fall on the way explains nothing, but for pairs whose dispute is `ripe`. `canonical_below` is the height up to
    which checkpoints are known to be on the head's chain.
    """
    source = views.primary
    memory.keep_recent(sight.head)
    states = States(source, sight.head.number)
    starter = Starter(sight, states, booked, canonical_below, memory)
    rises = await _begin(starter, memory.first_in_turn(pairs))
    await _climb(sight, states, rises, memory)
    steps_by_pair = await _believed(sight, views, rises, ripe)
    placed = {step.high for steps in steps_by_pair.values() for step in steps if step.is_placed and step.units > 0}
    blocks = await _blocks(sight, placed)
    receipts = await _receipts(sight, blocks, {pair.address.lower() for pair in steps_by_pair})
    rows_by_pair: dict[Pair, list[Row]] = {}
    for rise in rises:
        if (steps := steps_by_pair.get(rise.pair)) is not None:
            with suppress(Inconsistent):
                rows_by_pair[rise.pair] = await _rows(sight, rise, steps, blocks, receipts)
    nameless = {row.block.number for rows in rows_by_pair.values() for row in rows if is_nameless(row)}
    transfers = await read_transfers(sight, source, [blocks[height] for height in sorted(nameless)], memory)
    found = Natives()
    for rise in rises:
        if (rows := rows_by_pair.get(rise.pair)) is not None:
            _replace(found, rise, name_rows(rows, rise.proven, blocks, transfers), booked)
    return found


async def _begin(starter: Starter, pairs: Sequence[Pair]) -> list[Rise]:
    """What is to be searched: the starts of all pairs are found together."""
    rises: dict[Pair, Rise] = {}
    searches = {pair: starter.begin(pair) for pair in pairs}
    sent: dict[Pair, int | None] = dict.fromkeys(pairs)
    while sent:
        wanted: dict[Pair, int] = {}
        for pair, units in sent.items():
            try:
                wanted[pair] = searches[pair].send(units)
            except StopIteration as end:
                if end.value is not None:
                    rises[pair] = end.value
        balances = await starter.states.balances([(pair.address, height) for pair, height in wanted.items()])
        sent = dict(zip(wanted, balances, strict=True))
        if gone := [pair for pair, units in sent.items() if units is None]:
            await starter.states.measure(gone[0].address)
    return [rises[pair] for pair in pairs if pair in rises]


async def _climb(sight: Sight, states: States, rises: Sequence[Rise], memory: NativeMemory) -> None:
    """Read balances, for all pairs together, until every step is between two neighbouring blocks.

    What costs too much to find, or is thrown away while we search, stays a step of many blocks.
    """
    while True:
        for rise in rises:
            wanted = rise.climb.wanted()
            if wanted and not memory.may_read(rise.pair, sight.head, len(wanted)):
                rise.climb.is_given_up = True
        asks = [(rise, height) for rise in rises for height in rise.climb.wanted()]
        if not asks:
            return
        balances = await states.balances([(rise.pair.address, height) for rise, height in asks])
        for (rise, height), units in zip(asks, balances, strict=True):
            if units is None:
                rise.climb.gone_to = max(rise.climb.gone_to, height)
            else:
                rise.learn(height, units)


async def _believed(
    sight: Sight, views: Views, rises: Sequence[Rise], ripe: Collection[Pair]
) -> dict[Pair, list[Step]]:
    """The steps by pair, without those pairs whose reads contradict each other.

    That is what a fall says, unless the pair's dispute is ripe and the witness sees the same at both its ends.
    """
    steps_by_pair = {rise.pair: rise.climb.steps() for rise in rises}
    fallen = [rise for rise in rises if any(step.units < 0 for step in steps_by_pair[rise.pair])]
    for rise in fallen:
        steps = steps_by_pair.pop(rise.pair)
        if rise.pair not in ripe:
            continue
        heights = sorted({height for step in steps if step.units < 0 for height in (step.low, step.high)})
        seen: list[int | None] = []
        with views.sparing_the_second():
            witness = States(views.witness, sight.head.number)
            seen = await witness.balances([(rise.pair.address, height) for height in heights])
        expected = [
            rise.climb.residual_by_height[height] + expected_units(rise.proven, rise.pair, height) for height in heights
        ]
        if seen == expected:
            steps_by_pair[rise.pair] = steps
    return steps_by_pair


async def _blocks(sight: Sight, heights: set[int]) -> dict[int, FullBlock]:
    """The head's ancestors at `heights`, with their transactions."""
    await sight.learn_hashes(heights)
    blocks = await sight.reads.full_blocks([sight.hashes[height] for height in sorted(heights)])
    sight.blocks |= {block.ref.hash: block.ref for block in blocks}
    return {block.ref.number: block for block in blocks}


async def _receipts(sight: Sight, blocks: Mapping[int, FullBlock], addresses_lower: set[str]) -> dict[str, TxReceipt]:
    """The receipts of all transactions in `blocks` to one of the addresses."""
    hashes = sorted(
        tx.hash.lower() for block in blocks.values() for tx in block.txs_to(addresses_lower) if int(tx.value, 16)
    )
    return await sight.reads.receipts(hashes)


async def _rows(
    sight: Sight,
    rise: Rise,
    steps: Sequence[Step],
    blocks: Mapping[int, FullBlock],
    receipts: Mapping[str, TxReceipt],
) -> list[Row]:
    """The rows of a whole rise: what was not searched, what is in known blocks, what lies between two heights, is gone.

    Raises:
        Inconsistent: the reads contradict each other.
    """
    rows = [] if rise.unplaced is None else [await _by_then(sight, rise.pair, rise.unplaced)]
    for step in steps:
        if step.units < 0:
            (block,) = await _at(sight, [step.high])
            address, method = rise.pair
            rows.append(Row(RowKind.ADJUSTMENT, RowSource.DRIFT, address, method, step.units, block))
        elif step.is_placed:
            found = explain_step(rise.pair, step.units, blocks[step.high], receipts, rise.proven, sight.watchlist)
            rows += [each for row in found for each in as_before(row, rise.replaceable)]
        else:
            rows.append(await _between(sight, rise.pair, step))
    return rows


async def _between(sight: Sight, pair: Pair, step: Step) -> Row:
    low, _ = await _at(sight, [step.low, step.high])
    return await _by_then(sight, pair, Unplaced(step.high, step.units, low.at))


async def _by_then(sight: Sight, pair: Pair, some: Unplaced) -> Row:
    (block,) = await _at(sight, [some.height])
    source, earliest_at = RowSource.UNPLACED, some.earliest_at
    return Row(RowKind.IN, source, pair.address, pair.method, some.units, block, earliest_at=earliest_at)


async def _at(sight: Sight, heights: Sequence[int]) -> list[BlockRef]:
    """The head's ancestors at `heights`."""
    await sight.learn_hashes(heights)
    hashes = [sight.hashes[height] for height in heights]
    blocks = await sight.ancestors(zip(heights, hashes, strict=True))
    return [blocks[hash_] for hash_ in hashes]


def _replace(found: Natives, rise: Rise, rows: Sequence[Row], booked: Sequence[Row]) -> None:
    """Drop what is inferred differently now; what is inferred again as it was stays.

    A row whose key stands already, and is not replaced, cannot be stored beside it: then nothing is.
    """
    known = {(row.key, row.units) for row in rise.replaceable}
    again = {(row.key, row.units) for row in rows}
    fresh = [row for row in rows if (row.key, row.units) not in known]
    dropped = [row for row in rise.replaceable if (row.key, row.units) not in again]
    standing = {row.key for row in booked if row not in dropped}
    if not any(row.key in standing for row in fresh):
        found.rows += fresh
        found.dropped += dropped
