"""An invoice as its payer sees it: no metadata, no keys, nothing of other payers."""

from datetime import datetime

from msgspec import field

from paynode.domain.deposit import Stage
from paynode.domain.invoice import PaymentState, Status
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.views.deposit import DepositView
from paynode.operations.views.invoice import invoice
from paynode.operations.views.method import MethodView
from paynode.operations.views.shapes import Amount, Moment, UnitsText, Url, View, moment


class CheckoutDepositView(View, frozen=True, tag_field="object", tag="deposit"):
    id: str
    invoice: str | None
    method: str
    network: str
    address: str
    tx_hash: str | None
    log_index: int | None
    block_number: int
    block_hash: str
    sender: str | None = field(name="from")
    amount: Amount | None
    amount_units: UnitsText
    value: Amount | None
    state: Stage
    confirmations: int
    confirmations_required: int | None
    late: bool
    replaces: str | None
    explorer_url: Url | None
    block_at: Moment
    detected_at: Moment
    confirmed_at: Moment | None


class CheckoutView(View, frozen=True, tag_field="object", tag="checkout"):
    store_name: str
    id: str
    livemode: bool
    type: str
    status: Status
    payment_state: PaymentState
    late: bool
    amount: Amount
    currency: str
    amount_paid: Amount
    amount_confirmed: Amount
    amount_due: Amount
    amount_overpaid: Amount
    name: str | None
    description: str | None
    order_id: str | None
    methods: list[MethodView]
    success_url: Url | None
    fail_url: Url | None
    expires_at: Moment
    expires_in: int
    created_at: Moment
    paid_at: Moment | None
    deposits: list[CheckoutDepositView]
    now: Moment


def checkout(catalogue: Catalogue, loaded: LoadedInvoice, now: datetime) -> CheckoutView:
    whole = invoice(catalogue, loaded, now)
    shared = {name: getattr(whole, name) for name in CheckoutView.__struct_fields__ if name in _OF_INVOICE}
    return CheckoutView(
        store_name=catalogue.store_name(loaded.record.store_id),
        deposits=[_deposit(each) for each in whole.deposits],
        now=moment(now),
        **shared,
    )


_OF_INVOICE = frozenset(CheckoutView.__struct_fields__) - {"store_name", "deposits", "now"}


def _deposit(whole: DepositView) -> CheckoutDepositView:
    return CheckoutDepositView(**{name: getattr(whole, name) for name in CheckoutDepositView.__struct_fields__})
