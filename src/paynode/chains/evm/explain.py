"""Balances against books: what differs, what explains it, what stays open. Pure.

The one rule: a pair is settled only while its balance is exactly what its rows
say. Nothing planned is in the books, nothing is credited beyond what arrived,
and what nothing explains is a dispute of that pair alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from paynode.chains.evm.codec import row_of_value
from paynode.chains.evm.watchlist import Watchlist
from paynode.chains.evm.wire import FullBlock, TxReceipt
from paynode.domain.chain import INFERRED, BlockRef, Dispute, Pair, Row, RowKind, RowSource

Balances = Mapping[Pair, int | None]  # None: the token's contract would not say


class Inconsistent(Exception):
    """The reads contradict each other; nothing may be stored on them."""


def expected_units(rows: Iterable[Row], pair: Pair, height: int | None = None) -> int:
    """What `rows` say that `pair` holds, up to and including a height."""
    return sum(row.effect for row in rows if row.pair == pair and (height is None or row.block.number <= height))


def differing(pairs: Iterable[Pair], balances: Balances, rows: Sequence[Row]) -> frozenset[Pair]:
    """The pairs whose balance is not what `rows` say, or unknown.

    A contract that tells no balance at all makes no riddle of the addresses where nothing ever came: what comes there
    is found when its range of logs is closed.
    """
    expected: dict[tuple[str, str], int] = {}
    for row in rows:
        pair = row.address, row.method  # equal to its `Pair`, which takes longer to make than all the rest
        expected[pair] = expected.get(pair, 0) + row.effect
    telling = {pair.method for pair, units in balances.items() if units is not None}
    return frozenset(
        pair
        for pair in pairs
        if (pair in expected or pair.method in telling) and balances[pair] != expected.get(pair, 0)
    )


def unbooked(rows: Iterable[Row], known: Iterable[Row]) -> list[Row]:
    """Those of `rows` that are not in `known`, each once."""
    keys = {row.key for row in known}
    fresh: list[Row] = []
    for row in rows:
        if row.key not in keys:
            keys.add(row.key)
            fresh.append(row)
    return fresh


def nonce_spent_twice(rows: Iterable[Row], standing: Iterable[Row]) -> str | None:
    """Why `rows` cannot all be confirmed, if one account has spent one nonce on two transactions (B7); None: they can.

    Two forks may each hold one of them, and no chain both.
    """
    tx_hash_by_nonce: dict[tuple[str, int], str] = {}
    for row in (*(row for row in standing if row.confirmed), *rows):
        if row.tx_nonce is None or not row.tx_hash:
            continue
        other = tx_hash_by_nonce.setdefault((row.tx_sender, row.tx_nonce), row.tx_hash)
        if other != row.tx_hash:
            return f"transactions {other} and {row.tx_hash} have one nonce of one sender: only one can be on the chain"
    return None


def is_replaceable(row: Row) -> bool:
    """Whether `row` was inferred from balances and may be inferred anew."""
    return row.source in INFERRED and not row.confirmed


def explain_step(
    pair: Pair,
    units: int,
    block: FullBlock,
    receipts: Mapping[str, TxReceipt],
    booked: Sequence[Row],
    watchlist: Watchlist,
) -> list[Row]:
    """The rows that make `pair`'s native balance rise by `units` (beyond what is `booked`) in `block`.

    Successful transactions to the address first; the rest arrived from inside a contract. `receipts` are those of
    the transactions to the address, by hash.

    Raises:
        Inconsistent: the transactions bring more than the balance rose.
    """
    known = {row.tx_hash for row in booked if row.pair == pair and row.kind is RowKind.IN}
    rows: list[Row] = []
    for tx in block.txs_to({pair.address.lower()}):
        row = row_of_value(tx, block.ref, watchlist, RowSource.TX)
        if row is None or row.pair != pair or row.tx_hash in known:
            continue
        if (receipt := receipts.get(row.tx_hash)) is None:
            raise Inconsistent(f"block {block.ref.number}: no receipt for one of its transactions")
        if receipt.succeeded:
            rows.append(row)
    rest = units - sum(row.units for row in rows)
    if rest < 0:
        raise Inconsistent(f"block {block.ref.number}: transactions bring {-rest} more than the balance rose")
    if rest:
        rows.append(Row(RowKind.IN, RowSource.INTERNAL, pair.address, pair.method, rest, block.ref))
    return rows


def doubting_drift(balances: Balances, rows: Sequence[Row]) -> list[Row]:
    """`rows` without the adjustments that settle their pair: those are what a search for evidence tries to replace."""
    adjusted = {row.pair for row in rows if is_drift(row) and row.pair in balances}
    settled = adjusted - differing(adjusted, balances, rows)
    return [row for row in rows if not is_drift(row) or row.pair not in settled]


def is_drift(row: Row) -> bool:
    """Whether `row` settled a fall; what lay there before the books began is no riddle to solve."""
    return row.source is RowSource.DRIFT and row.effect < 0


def cancelled_drift(balances: Balances, stored: Sequence[Row], fresh: Sequence[Row]) -> list[Row]:
    """The adjustments among `stored` whose pair late evidence (`fresh` rows) explains better without them."""
    rows = [*stored, *fresh]
    cancelled: list[Row] = []
    for pair in {row.pair for row in fresh}:
        drift = [row for row in stored if row.pair == pair and is_drift(row)]
        units = balances[pair]
        if drift and units is not None:
            residual = units - expected_units(rows, pair)
            if abs(residual + sum(row.effect for row in drift)) < abs(residual):
                cancelled += drift
    return cancelled


def capped_credits(
    pair: Pair, fall: int, step_by_height: Mapping[int, int | None], rows: Iterable[Row]
) -> dict[int, int]:
    """What the unconfirmed transfers to `pair` really brought, by row id: no more than the balance rose in their block.

    A `fall` is how much less is there than the rows say. Several transfers in one block share what is missing. Where
    a block's step is not known (None), all of the fall may have happened there; the newest transfers bear it first.

    Raises:
        Inconsistent: more is missing in the blocks than in the end; something else is not explained either.
    """
    of_pair = [row for row in rows if row.pair == pair]
    credits: dict[int, int] = {}
    for height, step in sorted(step_by_height.items(), reverse=True):
        booked = sum(row.effect for row in of_pair if row.block.number == height)
        open_rows = [row for row in of_pair if row.block.number == height and is_open_transfer(row)]
        brought = sum(row.credited_units for row in open_rows)
        missing = min(brought, fall if step is None else max(booked - step, 0))
        if missing > fall:
            raise Inconsistent(f"block {height}: {missing} less arrived than transfers say, {fall} are missing")
        fall -= missing
        rest = missing
        for row in open_rows if missing else ():
            share = min(-(-missing * row.credited_units // brought), rest)
            rest -= share
            assert row.id is not None, "only stored rows have a credit to change"
            credits[row.id] = row.credited_units - share
    return credits


def is_open_transfer(row: Row) -> bool:
    """Whether `row` is an arrival of which it is not settled yet how much it brought."""
    return row.kind is RowKind.IN and not row.confirmed and row.id is not None


def open_disputes(
    pairs: Collection[Pair],
    balances: Balances,
    rows: Sequence[Row],
    head: BlockRef,
    known: Mapping[Pair, Dispute],
    reasons: Mapping[Pair, str],
) -> dict[Pair, Dispute]:
    """A dispute for each of `pairs`; one that was open keeps the moment it began."""
    disputes: dict[Pair, Dispute] = {}
    for pair in pairs:
        since = known[pair].since if pair in known else head
        observed, expected = balances[pair], expected_units(rows, pair)
        disputes[pair] = Dispute(pair, since, expected, observed, reasons.get(pair) or _reason(observed, expected))
    return disputes


def _reason(observed: int | None, expected: int) -> str:
    if observed is None:
        return "the token's contract does not tell the balance"
    if observed < expected:
        return "less is there than transfers brought: the token took a fee, or its issuer took the funds"
    return "more is there than transfers brought: no transfer explains the difference yet"
