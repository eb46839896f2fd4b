"""One step of one sweep item, carried to its deposits, its sweep and the invoices it collects from."""

from dataclasses import replace
from datetime import datetime

from paynode.domain import outgoing as outgoing_machine
from paynode.domain import sweep as machine
from paynode.domain.events import EventType
from paynode.domain.sweep import ItemState, State
from paynode.operations import collecting, held
from paynode.operations.announcing import announce
from paynode.operations.arrivals import Touched
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.sweep import SweepView
from paynode.operations.views.sweep import sweep as shown_sweep
from paynode.store import deposits, outgoing, sweeps
from paynode.store.database import Tx
from paynode.store.outgoing import OutgoingRecord
from paynode.store.records import Units
from paynode.store.sweeps import ItemRecord, SweepRecord

_ANNOUNCED_AS = {
    State.BROADCASTING: EventType.SWEEP_BROADCAST,
    State.COMPLETED: EventType.SWEEP_COMPLETED,
    State.PARTIALLY_COMPLETED: EventType.SWEEP_PARTIALLY_COMPLETED,
    State.FAILED: EventType.SWEEP_FAILED,
    State.CANCELLED: EventType.SWEEP_CANCELLED,
}
_ENDED = frozenset({State.COMPLETED, State.PARTIALLY_COMPLETED, State.FAILED, State.CANCELLED})


def move_item(
    tx: Tx,
    catalogue: Catalogue,
    record: OutgoingRecord,
    state: ItemState,
    touched: Touched,
    now: datetime,
    *,
    moved: int | None = None,
    reason: str | None = None,
) -> None:
    """Bring the item that `record` serves to `state`."""
    item = sweeps.item_of_outgoing(tx, record.id)
    assert item is not None, "every transaction of ours serves an item"
    changed = replace(
        item,
        reason=reason,
        moved=None if moved is None else Units(moved),
        fee=_fees(tx, item) if state in {ItemState.COMPLETED, ItemState.FAILED} else None,
    )
    set_item(tx, catalogue, changed, state, touched, now)


def _fees(tx: Tx, item: ItemRecord) -> Units:
    """What the item's transactions cost, the loan for its transfer included."""
    ids = [each for each in (item.top_up_id, item.transfer_id) if each is not None]
    return Units(sum(outgoing.by_id(tx, each).receipt_fee or 0 for each in ids))


def set_item(tx: Tx, catalogue: Catalogue, item: ItemRecord, state: ItemState, touched: Touched, now: datetime) -> None:
    """Save an item in a new state, and judge its deposits and its sweep by it."""
    assert state is item.state or state in machine.ITEM_NEXT[item.state], f"{item.state} -> {state}"
    sweeps.save_item(tx, replace(item, state=state))
    if state in {ItemState.FAILED, ItemState.CANCELLED}:
        _abandon_plans(tx, item, now)
    concerned = [collecting.judge_deposit(tx, record) for record in deposits.of_sweep_item(tx, item.id)]
    if state is ItemState.COMPLETED:
        concerned += collecting.settle_pair(tx, catalogue, item.network, item.address, item.method)
    held.book_each(tx, concerned, now)
    for record in concerned:
        if record.invoice_id is not None:
            touched.add(record.invoice_id)
    sweep = sweeps.by_id(tx, item.sweep_id)
    assert sweep is not None, "an item belongs to a sweep"
    judge_sweep(tx, catalogue, sweep, now)


def _abandon_plans(tx: Tx, item: ItemRecord, now: datetime) -> None:
    """What was planned for a failed item is not signed any more: another sweep may collect the same money."""
    for outgoing_id in (item.top_up_id, item.transfer_id):
        record = None if outgoing_id is None else outgoing.by_id(tx, outgoing_id)
        if record is not None and record.state is outgoing_machine.State.PLANNED:
            abandoned = replace(record, state=outgoing_machine.State.FAILED, reason=item.reason, updated_at=now)
            outgoing.save(tx, abandoned)


def judge_sweep(tx: Tx, catalogue: Catalogue, sweep: SweepRecord, now: datetime) -> None:
    """Judge a sweep from its items; announce what people wait for."""
    state = machine.judge(item.state for item in sweeps.items(tx, sweep.id))
    if state is sweep.state:
        return
    changed = replace(sweep, state=state, completed_at=now if state in _ENDED else None)
    sweeps.save(tx, changed)
    if state in _ANNOUNCED_AS:
        tell_sweep(tx, catalogue, _ANNOUNCED_AS[state], changed, now)


def tell_sweep(tx: Tx, catalogue: Catalogue, kind: EventType, sweep: SweepRecord, now: datetime) -> None:
    view = sweep_view(tx, catalogue, sweep)
    announce(tx, catalogue, kind, subject=sweep.id, store_id=sweep.store_id, view=view, now=now)


def sweep_view(tx: Tx, catalogue: Catalogue, sweep: SweepRecord) -> SweepView:
    """A sweep as merchants see it, loaded."""
    items = []
    for item in sweeps.items(tx, sweep.id):
        deposit_ids = [record.id for record in deposits.of_sweep_item(tx, item.id)]
        tx_hash = None
        if item.transfer_id is not None:
            transfer = outgoing.by_id(tx, item.transfer_id)
            versions = outgoing.versions(tx, item.transfer_id)
            tx_hash = transfer.receipt_hash or (versions[-1].tx_hash if versions else None)
        items.append((item, deposit_ids, tx_hash))
    return shown_sweep(catalogue, sweep, items)
