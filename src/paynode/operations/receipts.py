"""How our own transactions end: receipts seen by the scanner, judged and booked."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from paynode.domain import ledger as postings
from paynode.domain.chain import Books, Observation, Receipt, RowKind
from paynode.domain.ledger import Posting
from paynode.domain.outgoing import IN_FLIGHT, NEXT, Purpose, State
from paynode.domain.sweep import ItemState
from paynode.operations.arrivals import Touched
from paynode.operations.catalogue import Catalogue
from paynode.operations.sweep_items import move_item
from paynode.store import bells, chain_rows, ledger, outgoing, sweeps
from paynode.store.chain_rows import RowRecord
from paynode.store.database import Tx
from paynode.store.outgoing import OutgoingRecord
from paynode.store.records import Units


def apply(
    tx: Tx,
    catalogue: Catalogue,
    network: str,
    books: Books,
    observation: Observation,
    touched: Touched,
    now: datetime,
) -> None:
    """Bring our transactions under way up to what a tick saw of them."""
    receipt_by_id = {receipt.id: receipt for receipt in observation.receipts}
    for own in books.own:
        record = outgoing.by_id(tx, own.id)
        if record.state not in IN_FLIGHT:
            continue
        receipt = receipt_by_id.get(own.id)
        if receipt is None and record.receipt_hash is not None and observation.hold is None:
            _mined_no_more(tx, catalogue, record, touched, now)
        elif receipt is not None:
            record = _mined(tx, catalogue, record, receipt, touched, now)
            if own.id in observation.final_receipts and observation.hold is None:
                _ended(tx, catalogue, record, touched, now)


def reopen(tx: Tx, catalogue: Catalogue, row: RowRecord, touched: Touched, now: datetime) -> None:
    """A row of one of our own transactions left the chain: if it had ended, it is under way again."""
    record = outgoing.by_tx_hash(tx, row.tx_hash)
    if record is None or record.state not in {State.CONFIRMED, State.REVERTED}:
        return
    undone = postings.undone(ledger.posted(tx, f"{record.id}:end"))
    ledger.post(tx, record.store_id, undone, cause=f"{record.id}:end", reason="reopened", now=now)
    _mined_no_more(tx, catalogue, _step(record, State.BROADCAST), touched, now)


def _mined(
    tx: Tx, catalogue: Catalogue, record: OutgoingRecord, receipt: Receipt, touched: Touched, now: datetime
) -> OutgoingRecord:
    """Note the receipt; returns the record as it is then."""
    if record.receipt_block_hash == receipt.block.hash and record.receipt_hash == receipt.tx_hash:
        return record
    record = replace(
        record if record.state is State.BROADCAST else _step(record, State.BROADCAST),
        receipt_hash=receipt.tx_hash,
        receipt_block=receipt.block.number,
        receipt_block_hash=receipt.block.hash,
        receipt_succeeded=receipt.succeeded,
        receipt_fee=Units(receipt.fee_units),
        updated_at=now,
    )
    outgoing.save(tx, record)
    if record.purpose is Purpose.SWEEP:
        move_item(tx, catalogue, record, ItemState.CONFIRMING, touched, now)
    tx.ring(bells.OUTGOING)  # a mined top-up lets its transfer go
    return record


def _mined_no_more(tx: Tx, catalogue: Catalogue, record: OutgoingRecord, touched: Touched, now: datetime) -> None:
    outgoing.save(
        tx,
        replace(
            record,
            receipt_hash=None,
            receipt_block=None,
            receipt_block_hash=None,
            receipt_succeeded=None,
            receipt_fee=None,
            updated_at=now,
        ),
    )
    if record.purpose is Purpose.SWEEP:
        move_item(tx, catalogue, record, ItemState.BROADCASTING, touched, now)
    tx.ring(bells.OUTGOING)


def _ended(tx: Tx, catalogue: Catalogue, record: OutgoingRecord, touched: Touched, now: datetime) -> None:
    """The receipt is final: book it."""
    has_worked = record.receipt_succeeded is True
    record = replace(_step(record, State.CONFIRMED if has_worked else State.REVERTED), updated_at=now)
    outgoing.save(tx, record)
    moved = _moved_units(tx, record) if has_worked else 0
    posting, reason = _booked(catalogue, record, moved)
    ledger.post(tx, record.store_id, posting, cause=f"{record.id}:end", reason=reason, now=now)
    if record.purpose is Purpose.SWEEP:
        state = ItemState.COMPLETED if has_worked else ItemState.FAILED
        failure = None if has_worked else "reverted"
        move_item(tx, catalogue, record, state, touched, now, moved=moved, reason=failure)
    elif not has_worked:
        item = sweeps.item_of_outgoing(tx, record.id)
        if item is not None and item.state is ItemState.FUNDING:
            move_item(tx, catalogue, record, ItemState.FAILED, touched, now, reason="top_up_reverted")


def _booked(catalogue: Catalogue, record: OutgoingRecord, moved: int) -> tuple[Posting, str]:
    native = catalogue.native(record.network).method
    fee = record.receipt_fee or 0
    match record.purpose, record.state:
        case Purpose.TOP_UP, _:
            return postings.top_up_final(native, fee), "top_up_final"
        case Purpose.SWEEP, State.CONFIRMED:
            booked = postings.sweep_confirmed(
                record.method, native, units=record.units, moved_units=moved, fee_units=fee
            )
            return booked, "sweep_confirmed"
        case _:
            return postings.sweep_reverted(record.method, native, units=record.units, fee_units=fee), "sweep_reverted"


def _moved_units(tx: Tx, record: OutgoingRecord) -> int:
    """What reached the recipient, from the receipt's own rows, never from the plan (rule 4)."""
    assert record.receipt_hash is not None, "only a mined transaction ends"
    rows: Sequence[RowRecord] = [
        row
        for row in chain_rows.rows_of_tx(tx, record.network, record.receipt_hash)
        if row.voided_at is None and (row.kind, row.address, row.method) == (RowKind.OUT, record.sender, record.method)
    ]
    total = sum(row.units for row in rows)
    return total - (record.receipt_fee or 0) if record.empties_sender else total


def _step(record: OutgoingRecord, state: State) -> OutgoingRecord:
    assert state is record.state or state in NEXT[record.state], f"{record.state} -> {state}"
    return replace(record, state=state)
