"""What merchants and payers do with an invoice: provision, requote, cancel, accept."""

from dataclasses import replace
from datetime import datetime

from paynode.domain.errors import Conflict, NotFound
from paynode.domain.events import EventType
from paynode.domain.invoice import CLOSED, Status, Type, final_worth
from paynode.operations import loading
from paynode.operations.addresses import issue_address
from paynode.operations.catalogue import Catalogue, Derive
from paynode.operations.judging import judge_again
from paynode.operations.loading import LoadedInvoice
from paynode.operations.moments import terms_begin
from paynode.operations.quoting import renew_if_lapsed
from paynode.store import invoices
from paynode.store.database import Tx
from paynode.store.invoices import MethodRecord


def provision(
    tx: Tx,
    catalogue: Catalogue,
    invoice_id: str,
    method: str,
    derive: Derive,
    now: datetime,
    store_id: str | None = None,
    client: str | None = None,
) -> LoadedInvoice:
    """Issue the address that `method` is paid to; doing it again changes nothing but a lapsed price.

    Raises:
        NotFound: no such invoice, or it does not offer the method.
        Conflict: the invoice is closed or its deadline is over, and the method has no address yet.
        TooOften: the client, who has no key, or payers of the store left too many unpaid.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    entry = _entry(loaded, method)
    if entry.provisioned_at is None:
        require_payable(tx, loaded, now)
        issue_address(tx, catalogue, loaded, entry, derive, now, client)
        renew_if_lapsed(tx, catalogue, loaded, [entry], now)
        return judge_again(tx, catalogue, invoice_id, now, first=[EventType.INVOICE_UPDATED])
    if (
        loaded.record.status is Status.OPEN
        and not _is_overdue(tx, loaded, now)
        and renew_if_lapsed(tx, catalogue, loaded, [entry], now)
    ):
        return judge_again(tx, catalogue, invoice_id, now, first=[EventType.INVOICE_UPDATED])
    return loaded


def cancel_by_payer(tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime) -> LoadedInvoice:
    """Withdraw an invoice on its payer's word, before any money came.

    Raises:
        Conflict: the store does not want that, others may be paying it too, it has a deposit, or it is not open.
    """
    loaded = loading.load(tx, invoice_id)
    if loaded.record.status is Status.CANCELLED:
        return loaded
    if not catalogue.payer_may_cancel(loaded.record.store_id) or loaded.record.type is not Type.ONE_TIME:
        raise Conflict("cancel_not_allowed", "Only the shop can cancel this invoice.")
    if loaded.deposit_count:
        raise Conflict("invoice_has_deposits", "Money has come to this invoice already: only the shop can cancel it.")
    return cancel(tx, catalogue, invoice_id, now)


def requote(tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime, store_id: str | None = None) -> LoadedInvoice:
    """Lock new prices for every method whose quote lapsed.

    Raises:
        Conflict: the invoice is closed, its deadline is over, it has no price, or every quote still holds.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    require_payable(tx, loaded, now)
    if loaded.price is None:
        raise Conflict("no_price", "This invoice asks for no sum: what is paid is worth the rate of its own moment.")
    if not renew_if_lapsed(tx, catalogue, loaded, loaded.methods, now):
        raise Conflict("quote_still_valid", "Every quote of this invoice still holds; its price cannot be renewed yet.")
    return judge_again(tx, catalogue, invoice_id, now, first=[EventType.INVOICE_UPDATED])


def cancel(tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime, store_id: str | None = None) -> LoadedInvoice:
    """Withdraw an open invoice. What still arrives on its addresses is recorded as late.

    Raises:
        Conflict: it is not open: already paid, expired, or money is confirming.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    if loaded.record.status is Status.CANCELLED:
        return loaded
    _require_open(loaded)
    cancelled_at = terms_begin(tx, (entry.network for entry in loaded.methods), now)
    invoices.save(tx, replace(loaded.record, is_cancelled=True, cancelled_at=cancelled_at))
    return judge_again(tx, catalogue, invoice_id, now)


def accept(tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime, store_id: str | None = None) -> LoadedInvoice:
    """Declare what has arrived enough: a partial, late or cancelled-but-funded invoice becomes paid.

    Raises:
        Conflict: nothing on it is final yet, or it is confirming by itself, or reusable and so never paid.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    record = loaded.record
    if record.status is Status.PAID:
        return loaded
    if record.type is Type.REUSABLE:
        raise Conflict("not_acceptable", "A reusable invoice is never paid; its payments count one by one.")
    if record.status not in {Status.OPEN, Status.EXPIRED, Status.CANCELLED, Status.REVERSED}:
        raise Conflict("not_acceptable", f"This invoice is {record.status}; there is nothing to accept.")
    worth = final_worth(loaded.payments)
    if worth == 0:
        raise Conflict("nothing_final", "No money on this invoice is final yet; accept it once a deposit is confirmed.")
    invoices.save(tx, replace(record, accepted=worth))
    return judge_again(tx, catalogue, invoice_id, now)


def _require_open(loaded: LoadedInvoice) -> None:
    status = loaded.record.status
    if status in CLOSED:
        raise Conflict(f"invoice_{status}", f"This invoice is {status}.")
    if status is Status.CONFIRMING:
        raise Conflict("invoice_confirming", "Enough money for this invoice is on its way.")


def require_payable(tx: Tx, loaded: LoadedInvoice, now: datetime) -> None:
    """An open invoice whose deadline is over is one that the chains have not passed yet: a payment now is late."""
    _require_open(loaded)
    if _is_overdue(tx, loaded, now):
        raise Conflict("invoice_expired", "The deadline of this invoice is over; what is paid now comes late.")


def _is_overdue(tx: Tx, loaded: LoadedInvoice, now: datetime) -> bool:
    expires_at = loaded.record.expires_at
    return expires_at is not None and terms_begin(tx, (entry.network for entry in loaded.methods), now) > expires_at


def _entry(loaded: LoadedInvoice, method: str) -> MethodRecord:
    entry = loaded.entry(method)
    if entry is None:
        raise NotFound("payment method of this invoice")
    return entry
