"""What was received for an invoice, transaction by transaction: for the payer's books, and the merchant's."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import field

from paynode.domain.deposit import Stage
from paynode.domain.errors import Conflict
from paynode.domain.invoice import Status
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.views.checkout import CheckoutDepositView, checkout
from paynode.operations.views.deposit import DepositView
from paynode.operations.views.invoice import invoice
from paynode.operations.views.shapes import Amount, Moment, UnitsText, Url, View, moment


class ReceivedView(View, frozen=True):
    """One payment that is final; `value` is its worth in the invoice's currency."""

    deposit: str
    method: str
    network: str
    address: str
    sender: str | None = field(name="from")
    tx_hash: str | None
    block_number: int
    block_at: Moment
    confirmed_at: Moment | None
    amount: Amount | None
    amount_units: UnitsText
    value: Amount | None
    explorer_url: Url | None


class ReceiptView(View, frozen=True, tag_field="object", tag="receipt"):
    """`amount_received` is the worth of all that is final, `payments` are its newest hundred."""

    invoice: str
    livemode: bool
    store_name: str
    name: str | None
    description: str | None
    order_id: str | None
    status: Status
    amount: Amount | None
    currency: str
    amount_received: Amount
    payments: list[ReceivedView]
    created_at: Moment
    paid_at: Moment | None
    now: Moment


def receipt(catalogue: Catalogue, loaded: LoadedInvoice, now: datetime, *, for_payer: bool) -> ReceiptView:
    """Where several people pay, the payers' does not say who did.

    Raises:
        Conflict: nothing that came is final yet.
    """
    whole = invoice(catalogue, loaded, now)
    deposits: Sequence[DepositView | CheckoutDepositView] = whole.deposits
    if for_payer:
        deposits = checkout(catalogue, loaded, now).deposits
    payments = [_received(each) for each in deposits if each.state is Stage.SETTLED and not each.below_minimum]
    if not payments:
        raise Conflict("nothing_final", "Nothing that was paid is final yet; there is a receipt once something is.")
    return ReceiptView(
        invoice=whole.id,
        livemode=whole.livemode,
        store_name=catalogue.store_name(loaded.record.store_id),
        name=whole.name,
        description=whole.description,
        order_id=whole.order_id,
        status=whole.status,
        amount=whole.amount,
        currency=whole.currency,
        amount_received=whole.amount_confirmed,
        payments=payments,
        created_at=whole.created_at,
        paid_at=whole.paid_at,
        now=moment(now),
    )


def _received(deposit: DepositView | CheckoutDepositView) -> ReceivedView:
    names = [name for name in ReceivedView.__struct_fields__ if name != "deposit"]
    return ReceivedView(deposit=deposit.id, **{name: getattr(deposit, name) for name in names})
