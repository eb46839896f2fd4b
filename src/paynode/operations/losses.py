"""Money that left our addresses without a transaction of ours, and transfers that brought less than they say.

A token's issuer may take funds back, a stranger may hold a key. What is left is booked as it is, outflows of the asset
pause, and a person looks.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import structlog

from paynode.config import CustodyMode
from paynode.domain import ledger as postings
from paynode.domain.chain import RowKind
from paynode.domain.ledger import Account
from paynode.operations.arrivals import Touched
from paynode.operations.catalogue import Catalogue
from paynode.operations.collecting import is_withdrawal, settle_pair
from paynode.operations.held import book_each
from paynode.operations.outflows import pause
from paynode.store import deposits, ledger, outgoing, watches
from paynode.store.chain_rows import RowRecord
from paynode.store.database import Tx

log = structlog.get_logger()


def brought_less(tx: Tx, row: RowRecord, touched: Touched) -> None:
    """A transfer that is not final brought less than it says: its deposit is credited with that."""
    log.warning("credit_lowered", network=row.network, address=row.address, method=row.method, units=row.credited)
    record = deposits.of_row(tx, row.id)
    if record is not None:
        deposits.save(
            tx, replace(record, units=row.credited, worth=None, is_too_small=False)
        )  # `age` reckons its worth anew
        if record.invoice_id is not None:
            touched.add(record.invoice_id)


def is_loss(tx: Tx, row: RowRecord) -> bool:
    """Whether a row took money away that no transaction of ours sent."""
    match row.kind:
        case RowKind.ADJUSTMENT:
            return row.as_row().effect < 0
        case RowKind.OUT:
            return outgoing.by_tx_hash(tx, row.tx_hash) is None
        case RowKind.IN:
            return False


def noticed(tx: Tx, catalogue: Catalogue, row: RowRecord, now: datetime) -> None:
    """A loss was seen: send nothing of the asset until somebody has looked; nothing at all if somebody has our key."""
    if is_withdrawal(catalogue, row):
        return
    units = abs(row.as_row().effect)
    log.error("funds_lost", network=row.network, address=row.address, method=row.method, units=units)
    gone = f"{units} units are gone from {row.address}"
    if row.kind is RowKind.OUT:
        pause(tx, catalogue, row.network, "", f"{gone}: somebody else signed {row.tx_hash} with its key", now)
    else:
        pause(tx, catalogue, row.network, row.method, f"{gone}: no transfer explains it", now)


def exposed(tx: Tx, catalogue: Catalogue, network: str, addresses: Iterable[str], now: datetime) -> None:
    """Addresses of ours have code, and we gave them none: only their key can (EIP-7702), so somebody else has it.

    Nothing is swept from there any more, and nothing is sent at all until somebody has looked. Under watch the
    merchant alone holds the keys.
    """
    if catalogue.config.custody.mode is CustodyMode.WATCH:
        return
    for address in sorted(addresses):
        if watches.note_code(tx, network, address, now):
            log.error("address_has_code", network=network, address=address)
            pause(tx, catalogue, network, "", f"{address} has code: somebody else used its key", now)


def became_final(tx: Tx, catalogue: Catalogue, row: RowRecord, touched: Touched, now: datetime) -> None:
    """A loss is final: book it, and say of which deposits it was."""
    watch = watches.watch(tx, row.network, row.address)
    assert watch is not None, "rows are only of addresses we watch"
    account = Account.GAS if watch.invoice_id is None else Account.DEPOSITS
    post = postings.owner_collected if is_withdrawal(catalogue, row) else postings.taken
    posting = post(account, row.method, -row.as_row().effect)
    ledger.post(tx, watch.store_id, posting, cause=f"row:{row.id}", reason=post.__name__, now=now)
    _settle(tx, catalogue, row, touched, now)


def found_again(tx: Tx, catalogue: Catalogue, row: RowRecord, touched: Touched, now: datetime) -> None:
    """A loss is void: the chain took it back, or late evidence explains it. If it was booked, it is no more."""
    if row.confirmed_at is None:
        return
    watch = watches.watch(tx, row.network, row.address)
    assert watch is not None, "rows are only of addresses we watch"
    undone = postings.undone(ledger.posted(tx, f"row:{row.id}"))
    ledger.post(tx, watch.store_id, undone, cause=f"row:{row.id}", reason="taken_undone", now=now)
    _settle(tx, catalogue, row, touched, now)


def _settle(tx: Tx, catalogue: Catalogue, row: RowRecord, touched: Touched, now: datetime) -> None:
    changed = settle_pair(tx, catalogue, row.network, row.address, row.method)
    book_each(tx, changed, now)
    for record in changed:
        if record.invoice_id is not None:
            touched.add(record.invoice_id)
