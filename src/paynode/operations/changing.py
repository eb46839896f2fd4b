"""What a merchant may still change of an invoice: its labels, its deadline while it is open, whether it is in sight.

What the payer was promised is never among it: amount, currency, methods, prices and depths stay as they were made.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from paynode.domain.errors import Conflict, Invalid
from paynode.domain.events import EventType
from paynode.domain.invoice import Type
from paynode.operations import loading
from paynode.operations.catalogue import Catalogue
from paynode.operations.creating import require_new_order
from paynode.operations.invoices import require_payable
from paynode.operations.judging import tell
from paynode.operations.loading import LoadedInvoice
from paynode.operations.moments import terms_begin
from paynode.operations.views.invoice import invoice as invoice_view
from paynode.store import invoices, watches
from paynode.store.database import Tx
from paynode.store.invoices import InvoiceRecord

METADATA_KEYS_MAX = 50


@dataclass(frozen=True, slots=True)
class ChangeInvoice:
    """What is to be different; what is not named stays."""

    labels: Mapping[str, Any] = field(default_factory=dict)  # a text by its field in the record; None clears it
    metadata: Mapping[str, str] | None = field(default_factory=dict)  # '' removes a key; None removes all
    expires_in: timedelta | None = None  # from now; None: as it was


def change(
    tx: Tx, catalogue: Catalogue, invoice_id: str, command: ChangeInvoice, now: datetime, store_id: str | None = None
) -> LoadedInvoice:
    """Change an invoice; doing it again changes nothing.

    Raises:
        NotFound: no such invoice.
        Invalid: too much metadata, or a deadline for an invoice that has none.
        Conflict: a new deadline for one that is not open, or an order that has another invoice and may have only one.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    before = loaded.record
    after = replace(before, **command.labels, metadata=_merged(before.metadata, command.metadata))
    if after.is_order_id_unique and after.order_id is not None and after.order_id != before.order_id:
        require_new_order(tx, after.store_id, after.order_id)
    if command.expires_in is not None:
        after = _until(tx, loaded, after, command.expires_in, now)
        watches.extend(tx, invoice_id, after.monitor_until)
    return _saved(tx, catalogue, loaded, after, now)


def archive(tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime, store_id: str | None = None) -> LoadedInvoice:
    """Put an invoice out of sight. It is watched, judged and paid as before."""
    loaded = loading.load(tx, invoice_id, store_id)
    return _saved(tx, catalogue, loaded, replace(loaded.record, is_archived=True), now)


def unarchive(
    tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime, store_id: str | None = None
) -> LoadedInvoice:
    loaded = loading.load(tx, invoice_id, store_id)
    return _saved(tx, catalogue, loaded, replace(loaded.record, is_archived=False), now)


def delete(tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime, store_id: str | None = None) -> None:
    """Remove an invoice that nobody can have paid. Its events stay, and one more says that it is gone.

    Raises:
        NotFound: no such invoice.
        Conflict: it had an address or a deposit.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    if loaded.addresses or loaded.deposit_count:
        raise Conflict("invoice_in_use", "This invoice had an address, and money may come to it: archive it.")
    tell(tx, catalogue, loaded, [EventType.INVOICE_DELETED], now)
    invoices.delete(tx, invoice_id)


def _merged(kept: str, changes: Mapping[str, str] | None) -> str:
    if changes is None:
        return "{}"
    removed = {key for key, value in changes.items() if not value}
    metadata = {key: value for key, value in {**json.loads(kept), **changes}.items() if key not in removed}
    if len(metadata) > METADATA_KEYS_MAX:
        detail = f"An invoice has at most {METADATA_KEYS_MAX} keys of metadata; give a key '' to remove it."
        raise Invalid.field("/metadata", "too_many", detail)
    return json.dumps(metadata, ensure_ascii=False)


def _until(tx: Tx, loaded: LoadedInvoice, record: InvoiceRecord, span: timedelta, now: datetime) -> InvoiceRecord:
    """The record with a deadline so far from now."""
    if record.type is Type.REUSABLE:
        raise Invalid.field("/expires_in", "conflicting", "A reusable invoice has no deadline.")
    require_payable(tx, loaded, now)
    expires_at = terms_begin(tx, (entry.network for entry in loaded.methods), now) + span
    return replace(record, expires_at=expires_at, monitor_until=expires_at + timedelta(seconds=record.monitor_seconds))


def _saved(tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, after: InvoiceRecord, now: datetime) -> LoadedInvoice:
    if after == loaded.record:
        return loaded
    changed = replace(loaded, record=replace(after, updated_at=now))
    invoices.save(tx, changed.record)
    tell(tx, catalogue, changed, [EventType.INVOICE_UPDATED], now, previous=_previous(catalogue, loaded, changed, now))
    return changed


def _previous(catalogue: Catalogue, before: LoadedInvoice, after: LoadedInvoice, now: datetime) -> dict[str, Any]:
    """What changed, as it was shown before."""
    was, is_now = invoice_view(catalogue, before, now), invoice_view(catalogue, after, now)
    names = [name for name in was.__struct_fields__ if name not in {"updated_at", "expires_in"}]
    return {name: getattr(was, name) for name in names if getattr(was, name) != getattr(is_now, name)}
