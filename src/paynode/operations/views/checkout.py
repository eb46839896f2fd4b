"""An invoice as its payer sees it: no metadata, no keys, nothing of other payers."""

from datetime import datetime
from typing import Any

from msgspec import field, structs

from paynode.domain.deposit import Stage
from paynode.domain.invoice import PaymentState, Status, Type
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.views.branding import BrandingView, branding_view
from paynode.operations.views.deposit import DepositView
from paynode.operations.views.invoice import invoice
from paynode.operations.views.method import MethodState, MethodView
from paynode.operations.views.shapes import Amount, Moment, UnitsText, Url, View, moment


class CheckoutDepositView(View, frozen=True, tag_field="object", tag="deposit"):
    """A payment. Where several people pay, it does not say who: nobody's purse is the others' business."""

    id: str
    invoice: str | None
    method: str
    network: str
    address: str
    tx_hash: str | None
    log_index: int | None
    block_number: int
    block_hash: str | None
    sender: str | None = field(name="from")
    amount: Amount | None
    amount_units: UnitsText
    value: Amount | None
    state: Stage
    confirmations: int
    confirmations_required: int | None
    late: bool
    below_minimum: bool
    replaces: str | None
    explorer_url: Url | None
    block_at: Moment
    detected_at: Moment
    confirmed_at: Moment | None


class CheckoutView(View, frozen=True, tag_field="object", tag="checkout"):
    store_name: str
    branding: BrandingView
    may_cancel: bool
    id: str
    livemode: bool
    type: Type
    status: Status
    payment_state: PaymentState
    late: bool
    amount: Amount | None
    min_amount: Amount | None
    currency: str
    display_currency: str | None
    display_amount: Amount | None
    amount_paid: Amount
    amount_confirmed: Amount
    amount_due: Amount | None
    amount_overpaid: Amount | None
    name: str | None
    description: str | None
    order_id: str | None
    language: str | None
    methods: list[MethodView]
    success_url: Url | None
    fail_url: Url | None
    expires_at: Moment | None
    expires_in: int | None
    created_at: Moment
    paid_at: Moment | None
    deposits: list[CheckoutDepositView]
    deposit_count: int
    now: Moment


def checkout(catalogue: Catalogue, loaded: LoadedInvoice, now: datetime) -> CheckoutView:
    whole = invoice(catalogue, loaded, now)
    shared = {name: getattr(whole, name) for name in CheckoutView.__struct_fields__ if name in _OF_INVOICE}
    return CheckoutView(
        may_cancel=_may_cancel(catalogue, loaded),
        store_name=catalogue.store_name(loaded.record.store_id),
        branding=branding_view(catalogue.branding(loaded.record.store_id)),
        methods=[_method(each) for each in whole.methods],
        deposits=[_deposit(each, is_shared=loaded.record.type is not Type.ONE_TIME) for each in whole.deposits],
        now=moment(now),
        **shared,
    )


def _may_cancel(catalogue: Catalogue, loaded: LoadedInvoice) -> bool:
    """Whether the payer may withdraw it now."""
    record = loaded.record
    is_untouched = record.type is Type.ONE_TIME and record.status is Status.OPEN and not loaded.deposit_count
    return is_untouched and catalogue.payer_may_cancel(record.store_id)


_OF_INVOICE = frozenset(CheckoutView.__struct_fields__) - {
    "store_name",
    "branding",
    "may_cancel",
    "methods",
    "deposits",
    "now",
}


def _method(whole: MethodView) -> MethodView:
    """Without an address that another invoice has now: somebody might pay there."""
    is_active = whole.state is not MethodState.PASSED_ON
    return whole if is_active else structs.replace(whole, address=None, explorer_url=None)


_TELLS_WHO = frozenset({"tx_hash", "log_index", "block_hash", "sender", "explorer_url"})


def _deposit(whole: DepositView, *, is_shared: bool) -> CheckoutDepositView:
    hidden = _TELLS_WHO if is_shared else frozenset()
    names = CheckoutDepositView.__struct_fields__
    shown: dict[str, Any] = {name: None if name in hidden else getattr(whole, name) for name in names}
    return CheckoutDepositView(**shown)
