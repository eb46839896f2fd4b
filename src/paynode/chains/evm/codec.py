"""Logs, transactions and receipts, read as rows. Pure.

The one rule: identity is the contract's address and the watched address, never
a symbol, a status or call data (I7). A log counts only if it is a `Transfer`
of more than zero with three topics.

https://eips.ethereum.org/EIPS/eip-20
"""

from collections.abc import Sequence
from dataclasses import dataclass

from paynode.chains.evm.watchlist import Watchlist
from paynode.chains.evm.wire import Log, Tx, TxReceipt, checksummed
from paynode.domain.chain import BlockRef, Pair, Row, RowKind, RowSource

TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
BALANCE_OF = "0x70a08231"
DECIMALS = "0x313ce567"
TRANSFER = "0xa9059cbb"
IS_SANCTIONED = "0xdf592f7d"  # isSanctioned(address), as Chainalysis and others publish it


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a Transfer log says; addresses in lower case."""

    contract: str
    sender: str
    recipient: str
    units: int


def address_topic(address: str) -> str:
    return "0x" + address[2:].lower().rjust(64, "0")


def decode_transfer(log: Log) -> Transfer | None:
    """The transfer in `log`, or None if it is another event or moves nothing (address poisoning, A5)."""
    if log.removed or len(log.topics) != 3 or log.topics[0].lower() != TRANSFER_TOPIC or len(log.data) != 66:
        return None
    sender, recipient = log.topics[1].lower(), log.topics[2].lower()
    units = int(log.data, 16)
    if units == 0 or not sender.startswith("0x" + "0" * 24) or not recipient.startswith("0x" + "0" * 24):
        return None
    return Transfer(log.address.lower(), "0x" + sender[26:], "0x" + recipient[26:], units)


def rows_of_log(log: Log, block: BlockRef, tx: Tx | None, watchlist: Watchlist, source: RowSource) -> list[Row]:
    """What `log` did to watched pairs: a row for the recipient, a row for the sender, both or none."""
    transfer = decode_transfer(log)
    if transfer is None:
        return []
    method = watchlist.method_by_contract.get(transfer.contract)
    moved = [
        (kind, pair)
        for kind, address in ((RowKind.OUT, transfer.sender), (RowKind.IN, transfer.recipient))
        if (pair := watchlist.pair(address, method)) is not None
    ]
    if not moved:
        return []  # before a checksum is reckoned: it takes longer than all the rest
    sender = checksummed(transfer.sender)
    return [
        Row(
            kind=kind,
            source=source,
            address=pair.address,
            method=pair.method,
            units=transfer.units,
            block=block,
            tx_hash=log.transaction_hash.lower(),
            log_index=int(log.log_index, 16),
            sender=sender,
            tx_sender=checksummed(tx.from_) if tx else "",
            tx_nonce=tx.account_nonce if tx else None,
            own=sender in watchlist.own_addresses,
        )
        for kind, pair in moved
    ]


def row_of_value(tx: Tx, block: BlockRef, watchlist: Watchlist, source: RowSource) -> Row | None:
    """The native coins that a successful transaction brought to a watched address, or None."""
    pair = watchlist.pair((tx.to or "").lower(), watchlist.native)
    if pair is None or int(tx.value, 16) == 0:
        return None
    return _native_row(RowKind.IN, pair, int(tx.value, 16), tx, block, watchlist, source)


def rows_of_own(tx: Tx, receipt: TxReceipt, block: BlockRef, watchlist: Watchlist) -> list[Row]:
    """All that one of our own transactions did to watched pairs: never from what was planned, only from its receipt.

    The sender pays the value (if it succeeded) and every fee in one native row.
    """
    rows = [row for log in receipt.logs for row in rows_of_log(log, block, tx, watchlist, RowSource.RECEIPT)]
    value = int(tx.value, 16) if receipt.succeeded else 0
    payer = watchlist.pair(tx.from_.lower(), watchlist.native)
    if payer is not None and value + receipt.fee_units:
        spent = value + receipt.fee_units
        rows.append(_native_row(RowKind.OUT, payer, spent, tx, block, watchlist, RowSource.RECEIPT))
    if receipt.succeeded and (received := row_of_value(tx, block, watchlist, RowSource.RECEIPT)) is not None:
        rows.append(received)
    return rows


def _native_row(
    kind: RowKind, pair: Pair, units: int, tx: Tx, block: BlockRef, watchlist: Watchlist, source: RowSource
) -> Row:
    sender = checksummed(tx.from_)
    return Row(
        kind=kind,
        source=source,
        address=pair.address,
        method=pair.method,
        units=units,
        block=block,
        tx_hash=tx.hash.lower(),
        sender=sender,
        tx_sender=sender,
        tx_nonce=tx.account_nonce,
        own=sender in watchlist.own_addresses,
    )


def call_balance_of(address: str) -> str:
    return BALANCE_OF + address_topic(address)[2:]


def call_is_sanctioned(address: str) -> str:
    return IS_SANCTIONED + address_topic(address)[2:]


def call_transfer(recipient: str, units: int) -> str:
    return TRANSFER + address_topic(recipient)[2:] + f"{units:064x}"


def log_filter(
    contracts: Sequence[str], addresses: Sequence[str], low: int, high: int, *, outgoing: bool
) -> dict[str, object]:
    """The `eth_getLogs` filter for transfers from or to `addresses` in blocks `low` to `high`, both included."""
    ours = [address_topic(address) for address in addresses]
    topics: list[object] = [TRANSFER_TOPIC, ours] if outgoing else [TRANSFER_TOPIC, None, ours]
    return {"address": list(contracts), "topics": topics, "fromBlock": hex(low), "toBlock": hex(high)}
