"""Rule 9: at depth, every row is proven once more, at another provider where there is one. I/O.

An answer that is missing proves nothing and is awaited. An answer that
contradicts is a disagreement: the network holds. Only what was reckoned from
balances is simply dropped, to be reckoned anew.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from paynode.chains.evm.codec import rows_of_own
from paynode.chains.evm.explain import expected_units
from paynode.chains.evm.own import Mined
from paynode.chains.evm.reads import Pruned, Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.states import States
from paynode.domain.chain import RECKONED, Pair, Row, RowSource

Span = tuple[Pair, int, int]  # the heights at which its balance is compared: two neighbours, or twice the same


@dataclass(slots=True)
class Verdict:
    confirmed: dict[int, int] = field(default_factory=dict)  # row id -> credited units
    gone: list[Row] = field(default_factory=list)  # both providers have another block there
    refused: list[Row] = field(default_factory=list)  # reckoned from balances, and they are others
    final: set[str] = field(default_factory=set)  # ids of our own transactions
    disagreement: str | None = None


async def verify(
    sight: Sight, source: Reads, due: Sequence[Row], mined: Sequence[Mined], booked: Sequence[Row]
) -> Verdict:
    """What `source` says about the rows that are `due` and about our own transactions, all of them at depth.

    `booked` are all rows as this tick leaves them.
    """
    verdict = Verdict()
    standing = await _on_canonical_blocks(sight, source, due, mined, verdict)
    evident = [row for row in due if row.source not in RECKONED and row.block.hash in standing]
    final = [one for one in mined if one.block.hash in standing]
    await _check_evidence(sight, source, evident, final, verdict)
    reckoned = [row for row in due if row.source in RECKONED and row.block.hash in standing]
    await _check_balances(sight, source, reckoned, booked, verdict)
    return verdict


async def _on_canonical_blocks(
    sight: Sight, source: Reads, rows: Sequence[Row], mined: Sequence[Mined], verdict: Verdict
) -> set[str]:
    """The hashes of those blocks that `source` has on its chain, too."""
    hash_by_height = {row.block.number: row.block.hash for row in rows} | {m.block.number: m.block.hash for m in mined}
    heights = sorted(hash_by_height)
    standing: set[str] = set()
    for height, block in zip(heights, await source.blocks_by_number(heights), strict=True):
        if block is None:
            continue  # it is behind
        if block.header.hash in {row.block.hash for row in rows} | {one.block.hash for one in mined}:
            standing.add(block.header.hash)
        contradicted = [row for row in rows if row.block.number == height and row.block.hash != block.header.hash]
        if contradicted:
            await sight.learn_hashes([height])
            verdict.gone += [row for row in contradicted if sight.hashes[height] == block.header.hash]
            if any(row.block.hash == sight.hashes[height] for row in contradicted):
                verdict.disagreement = f"{source.name} has another block {height} than {sight.reads.name}"
    return standing


async def _check_evidence(
    sight: Sight, source: Reads, rows: Sequence[Row], mined: Sequence[Mined], verdict: Verdict
) -> None:
    """The exact log, or the transaction's value, from its receipt."""
    hashes = {row.tx_hash for row in rows}
    receipts = await source.receipts(sorted(hashes | {one.tx.hash.lower() for one in mined}))
    txs = await source.txs(sorted(hashes & receipts.keys()))
    for row in rows:
        if row.tx_hash not in txs:
            continue
        receipt = receipts[row.tx_hash]
        if receipt.block_hash.lower() == row.block.hash:
            proven = rows_of_own(txs[row.tx_hash], receipt, row.block, sight.watchlist)
            if any((each.key, each.units) == (row.key, row.units) for each in proven):
                assert row.id is not None, "only stored rows are verified"
                verdict.confirmed[row.id] = row.credited_units
                continue
        verdict.disagreement = f"{source.name} does not have what we booked of transaction {row.tx_hash}"
    for one in mined:
        if (found := receipts.get(one.tx.hash.lower())) is None:
            continue
        if (found.block_hash.lower(), found.succeeded) == (one.block.hash, one.receipt.succeeded):
            verdict.final.add(one.own.id)
        else:
            verdict.disagreement = f"{source.name} has another receipt of our transaction {one.tx.hash.lower()}"


async def _check_balances(
    sight: Sight, source: Reads, rows: Sequence[Row], booked: Sequence[Row], verdict: Verdict
) -> None:
    """Whether the balance at the block of each row is what the books say; of all together.

    For an internal row it is read before and in its very block, so that what is compared is the step. Both providers
    are asked, and one that says no is enough: the row may be the word of either, since it may have been the first one
    when the row was found. Where neither has that state any more, the balance at the head is all that can be compared:
    it is exact, since the pair is settled. If it is another there, nobody can tell now: that may be another head, or
    one behind.
    """
    rows_by_span: dict[Span, list[Row]] = {}
    for row in rows:
        height = row.block.number
        low = height - 1 if row.source is RowSource.INTERNAL else height
        rows_by_span.setdefault((row.pair, low, height), []).append(row)
    is_there_by_span: dict[Span, bool] = {}
    for view in [source] if source is sight.reads else [source, sight.reads]:
        for span, is_there in (await _are_there(sight, view, rows_by_span.keys(), booked)).items():
            is_there_by_span[span] = is_there and is_there_by_span.get(span, True)
    gone = sorted({pair for pair, *_ in rows_by_span.keys() - is_there_by_span.keys()})
    at_head = await _balances(sight, source, [(pair, sight.head.number) for pair in gone])
    is_same = {pair: units == sight.balances[pair] for (pair, _), units in at_head.items() if units is not None}
    for span, some in rows_by_span.items():
        if is_there_by_span.get(span, is_same.get(span[0], False)):
            verdict.confirmed |= {row.id: row.credited_units for row in some if row.id is not None}
        elif span in is_there_by_span:
            verdict.refused += some


async def _are_there(sight: Sight, view: Reads, spans: Collection[Span], booked: Sequence[Row]) -> dict[Span, bool]:
    """Whether the balance differs from the books by the same at both ends of a span, or by nothing if they are one.

    Left out are those of which the view has thrown a state away.
    """
    units = await _balances(sight, view, sorted({(pair, height) for pair, *ends in spans for height in ends}))
    found: dict[Span, bool] = {}
    for pair, low, high in spans:
        before, after = units[pair, low], units[pair, high]
        if before is not None and after is not None:
            rose = after - expected_units(booked, pair, high)
            if low < high:
                rose -= before - expected_units(booked, pair, low)
            found[pair, low, high] = rose == 0
    return found


async def _balances(
    sight: Sight, source: Reads, asks: Sequence[tuple[Pair, int]]
) -> dict[tuple[Pair, int], int | None]:
    """By pair and height; None: that state is gone."""
    native = [(pair, height) for pair, height in asks if sight.watchlist.is_native(pair)]
    states = States(source, sight.head.number)
    read = await states.balances([(pair.address, height) for pair, height in native])
    found = dict(zip(native, read, strict=True))
    for pair, height in asks:
        if not sight.watchlist.is_native(pair):
            contract = sight.watchlist.contract_by_method[pair.method]
            found[pair, height] = None
            with suppress(Pruned):
                (found[pair, height],) = await source.token_balances([(contract, pair.address, height)])
    return found
