"""Judging an invoice again after its facts changed: the one way its status ever moves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import structlog

from paynode.domain.deposit import Stage
from paynode.domain.events import EventType
from paynode.domain.invoice import Status, UnlawfulStep, advance
from paynode.domain.screening import invoice_screening
from paynode.domain.sweep import invoice_sweep
from paynode.operations import loading
from paynode.operations.announcing import announce
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.outflows import pause
from paynode.operations.views.invoice import invoice as invoice_view
from paynode.store import bells, deposits, invoices
from paynode.store.database import Tx
from paynode.store.invoices import InvoiceRecord

log = structlog.get_logger()


def judge_again(
    tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime, *, first: Sequence[EventType] = ()
) -> LoadedInvoice:
    """Judge the invoice from its facts as stored, save the verdict, announce what changed.

    `first` are events that the caller knows of (a deposit came, an address was issued); they are told before the
    verdict's own. An invoice that cannot be judged is set aside with an alert: it must not stop its network.
    """
    loaded = loading.load(tx, invoice_id)
    before = loaded.record
    try:
        after, events = (before, ()) if before.set_aside else _judged(loaded, now)
    except UnlawfulStep as step:
        log.error("invoice_set_aside", invoice=invoice_id, step=str(step))
        reason = f"The chain's facts ask for a step that is not lawful ({step}). Look at its deposits, then tell us."
        after, events = replace(before, set_aside=reason, updated_at=now), (EventType.INVOICE_UPDATED,)
        for network in sorted(deposits.networks_of_invoice(tx, invoice_id)):
            pause(tx, catalogue, network, "", f"invoice {invoice_id} cannot be judged", now)
    told = [*first, *events]
    if after == before and not told:
        return loaded
    after = replace(after, updated_at=now)
    invoices.save(tx, after)
    tx.ring(bells.about(invoice_id))
    loaded = replace(loaded, record=after)
    if told:
        tell(tx, catalogue, loaded, told, now, previous=_changes(before, after))
    return loaded


def tell(
    tx: Tx,
    catalogue: Catalogue,
    loaded: LoadedInvoice,
    events: Sequence[EventType],
    now: datetime,
    previous: Mapping[str, Any] | None = None,
) -> msgspec.Raw:
    """Announce events about an invoice, each with the invoice as it is now; returns how they show it, as JSON."""
    view = msgspec.Raw(msgspec.json.encode(invoice_view(catalogue, loaded, now)))
    record = loaded.record
    for kind in events:
        announce(
            tx, catalogue, kind, subject=record.id, store_id=record.store_id, view=view, now=now, previous=previous
        )
    return view


def _judged(loaded: LoadedInvoice, now: datetime) -> tuple[InvoiceRecord, Sequence[EventType]]:
    machine, events = advance(loaded.machine, loaded.payments)
    record = loaded.record
    standing = [total for total in loaded.totals if total.stage is not Stage.ORPHANED]
    return (
        replace(
            record,
            status=machine.status,
            payment_state=machine.payment_state,
            is_late=machine.is_late,
            announced=" ".join(sorted(machine.announced)),
            sweep_state=invoice_sweep(each.sweep_state for each in standing),
            screening=invoice_screening(each.screening for each in standing),
            paid_at=record.paid_at or (now if machine.status is Status.PAID else None),
        ),
        events,
    )


def _changes(before: InvoiceRecord, after: InvoiceRecord) -> dict[str, str]:
    """The states that changed, as they were."""
    return {
        name: str(getattr(before, name))
        for name in ("status", "payment_state", "sweep_state", "screening")
        if getattr(before, name) != getattr(after, name)
    }
