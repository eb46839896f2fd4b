"""Rule 7, its end: which transactions brought the coins that came from inside contracts.

The one rule: balances decide, traces only name. A trace that does not account for exactly what came leaves it
without a name, and a row that was stored without one keeps none: nothing is dropped for the sake of a name.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from paynode.chains.evm.reads import Reads
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.thrift import NativeMemory
from paynode.chains.evm.traces import InnerTransfer, TraceMethod
from paynode.chains.evm.wire import FullBlock, checksummed
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import Row, RowKind, RowSource


def is_nameless(row: Row) -> bool:
    """Whether `row` is new, came from inside a contract, and names no transaction."""
    return row.source is RowSource.INTERNAL and not row.tx_hash and row.id is None


def as_before(row: Row, replaceable: Sequence[Row]) -> Sequence[Row]:
    """The rows that already say, with names or without, what `row` says of its block; else `row` itself."""
    before = [each for each in replaceable if (each.source, each.block) == (RowSource.INTERNAL, row.block)]
    return before if is_nameless(row) and sum(each.units for each in before) == row.units else [row]


async def read_transfers(
    sight: Sight, source: Reads, blocks: Iterable[FullBlock], memory: NativeMemory
) -> dict[int, list[InnerTransfer]]:
    """By height, what a trace tells of those `blocks` that `source` has one of: at most two calls a block."""
    transfers: dict[int, list[InnerTransfer]] = {}
    for block in blocks:
        for method in TraceMethod:
            if block.ref.number in transfers or not memory.may_ask(source.name, method, sight.head):
                continue
            try:
                transfers[block.ref.number] = await source.inner_transfers(block.ref, method)
            except ProviderFailed:  # many plans do not include it; without it nothing but the name is missing
                memory.refused[source.name, method] = sight.head.at
    return transfers


def name_rows(
    rows: Sequence[Row],
    proven: Sequence[Row],
    blocks: Mapping[int, FullBlock],
    transfers: Mapping[int, Sequence[InnerTransfer]],
) -> list[Row]:
    """`rows` of one pair, beside those `proven`, with names for all that the traces account for."""
    taken = {row.tx_hash for row in (*proven, *rows) if row.kind is RowKind.IN}
    found: list[Row] = []
    for row in rows:
        height = row.block.number
        found += named(row, blocks[height], transfers.get(height, ()), taken) if is_nameless(row) else [row]
    return found


def named(rest: Row, block: FullBlock, transfers: Iterable[InnerTransfer], taken: Collection[str]) -> list[Row]:
    """`rest`, which came from inside contracts, as a row for each transaction, if a trace accounts for all of it.

    `transfers` are what the trace of `block` tells, `taken` the transactions that have rows of their pair already. A
    trace only names: whatever else it says than exactly `rest` leaves that row as it is.
    """
    parts_by_tx_hash: dict[str, list[InnerTransfer]] = {}
    for transfer in transfers:
        if transfer.recipient == rest.address.lower() and transfer.tx_hash not in taken:
            parts_by_tx_hash.setdefault(transfer.tx_hash, []).append(transfer)
    rows = [
        replace(
            rest,
            units=sum(each.units for each in parts),
            tx_hash=tx.hash.lower(),
            sender=checksummed(parts[0].sender),
            tx_sender=checksummed(tx.from_),
            tx_nonce=tx.account_nonce,
        )
        for tx in block.txs_of(parts_by_tx_hash)
        if (parts := parts_by_tx_hash.get(tx.hash.lower()))
    ]
    is_all = len(rows) == len(parts_by_tx_hash) and sum(row.units for row in rows) == rest.units
    return rows if is_all else [rest]
