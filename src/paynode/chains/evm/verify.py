"""Rule 9: at depth, every row is proven once more, at another provider where there is one. I/O.

An answer that is missing proves nothing and is awaited. An answer that
contradicts is a disagreement: the network holds. Only what was reckoned from
balances is simply dropped, to be reckoned anew.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from paynode.chains.evm.codec import rows_of_own
from paynode.chains.evm.explain import expected_units
from paynode.chains.evm.own import Mined
from paynode.chains.evm.reads import Pruned, Reads
from paynode.chains.evm.sight import Sight
from paynode.domain.chain import RECKONED, BlockRef, Pair, Row, RowSource


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
    reckoned: dict[tuple[Pair, BlockRef, bool], list[Row]] = {}
    for row in due:
        if row.source in RECKONED and row.block.hash in standing:
            reckoned.setdefault((row.pair, row.block, row.source is RowSource.INTERNAL), []).append(row)
    for (pair, block, is_step), rows in reckoned.items():
        heights = [block.number - 1, block.number] if is_step else [block.number]
        match await _is_there(sight, source, pair, heights, booked):
            case True:
                verdict.confirmed |= {row.id: row.credited_units for row in rows if row.id is not None}
            case False:
                verdict.refused += rows
            case None:
                pass
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


async def _is_there(
    sight: Sight, source: Reads, pair: Pair, heights: Sequence[int], booked: Sequence[Row]
) -> bool | None:
    """Whether the balance at each of `heights` differs from the books by the same: by nothing, if there is only one.

    For an internal row it is read before and in its very block, so that what is compared is the step. None: nobody can
    tell now. What the source has thrown away, the first provider may still have, and by now it may have learned better;
    where neither has that state, the balance at the head is all that can be compared: it is exact, since the pair is
    settled.
    """
    for view in [source] if source is sight.reads else [source, sight.reads]:
        with suppress(Pruned):
            balances = await _balances(sight, view, pair, heights)
            break
    else:
        with suppress(Pruned):
            (at_head,) = await _balances(sight, source, pair, [sight.head.number])
            if at_head == sight.balances[pair]:
                return True
        return None  # it has another head, or none so high
    residuals = [units - expected_units(booked, pair, height) for height, units in zip(heights, balances, strict=True)]
    return residuals[-1] == (residuals[0] if len(residuals) > 1 else 0)


async def _balances(sight: Sight, source: Reads, pair: Pair, heights: Sequence[int]) -> list[int]:
    if sight.watchlist.is_native(pair):
        return await source.balances([(pair.address, height) for height in heights], sight.head.number)
    contract = sight.watchlist.contract_by_method[pair.method]
    return await source.token_balances([(contract, pair.address, height) for height in heights])
