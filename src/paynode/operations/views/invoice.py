"""An invoice as its merchant sees it."""

import json
from datetime import datetime
from fractions import Fraction
from functools import partial

from paynode.domain.addresses import AddressMode
from paynode.domain.invoice import PaymentState, Status, Type, counting, final_worth, seen_worth
from paynode.domain.money import format_decimal, format_fixed, minor_digits
from paynode.domain.screening import InvoiceScreening
from paynode.domain.sweep import InvoiceSweep
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.views.deposit import DepositView, deposit
from paynode.operations.views.method import MethodView, method
from paynode.operations.views.shapes import (
    Amount,
    Moment,
    Url,
    View,
    amount_of,
    amount_or_none,
    moment,
    moment_or_none,
    seconds_until_or_none,
)
from paynode.store.invoices import InvoiceRecord


class ToleranceView(View, frozen=True):
    under_percent: Amount
    over_percent: Amount


class AddressPolicyView(View, frozen=True):
    mode: AddressMode
    rest: int | None  # seconds past the invoice's end; null: its addresses serve nobody else


class InvoiceView(View, frozen=True, tag_field="object", tag="invoice"):
    id: str
    store: str
    livemode: bool
    type: Type
    status: Status
    payment_state: PaymentState
    sweep_state: InvoiceSweep
    screening: InvoiceScreening
    late: bool
    archived: bool
    amount: Amount | None
    min_amount: Amount | None
    currency: str
    markup_percent: Amount
    display_currency: str | None
    display_amount: Amount | None
    amount_paid: Amount
    amount_confirmed: Amount
    amount_due: Amount | None
    amount_overpaid: Amount | None
    tolerance: ToleranceView
    address_policy: AddressPolicyView
    name: str | None
    description: str | None
    order_id: str | None
    customer: str | None
    metadata: dict[str, str]
    language: str | None
    methods: list[MethodView]
    deposits: list[DepositView]
    deposit_count: int
    checkout_url: Url
    success_url: Url | None
    fail_url: Url | None
    callback_url: Url | None
    callback_retries: int | None
    expires_at: Moment | None
    expires_in: int | None
    monitor_until: Moment | None
    created_at: Moment
    updated_at: Moment
    paid_at: Moment | None
    needs_attention: str | None


def invoice(catalogue: Catalogue, loaded: LoadedInvoice, now: datetime) -> InvoiceView:
    record = loaded.record
    payments = counting(loaded.payments)
    seen, price = seen_worth(payments), None if record.amount is None else Fraction(record.amount)
    amount = partial(amount_of, catalogue, record.currency)
    return InvoiceView(
        id=record.id,
        store=record.store_id,
        livemode=catalogue.is_live,
        type=record.type,
        status=record.status,
        payment_state=record.payment_state,
        sweep_state=record.sweep_state,
        screening=record.screening,
        late=record.is_late,
        archived=record.is_archived,
        amount=amount_or_none(record.amount),
        min_amount=amount_or_none(record.min_amount),
        currency=record.currency,
        markup_percent=format_decimal(record.markup_percent),
        display_currency=record.display_currency,
        display_amount=_display_amount(record),
        amount_paid=amount(seen),
        amount_confirmed=amount(final_worth(payments)),
        amount_due=None if price is None else amount(max(price - seen, Fraction(0)), round_up=True),
        amount_overpaid=None if price is None else amount(max(seen - price, Fraction(0))),
        tolerance=ToleranceView(
            under_percent=format_decimal(record.under_percent), over_percent=format_decimal(record.over_percent)
        ),
        address_policy=AddressPolicyView(
            mode=AddressMode.FRESH if record.rest_seconds is None else AddressMode.REUSE, rest=record.rest_seconds
        ),
        name=record.name,
        description=record.description,
        order_id=record.order_id,
        customer=record.customer,
        metadata=json.loads(record.metadata),
        language=record.language,
        methods=[method(catalogue, loaded, entry, now) for entry in loaded.methods],
        deposits=[deposit(catalogue, placed, loaded) for placed in loaded.newest],
        deposit_count=loaded.deposit_count,
        checkout_url=f"{catalogue.public_url}/i/{record.id}",
        success_url=record.success_url,
        fail_url=record.fail_url,
        callback_url=None if loaded.callback is None else loaded.callback.url,
        callback_retries=None if loaded.callback is None else loaded.callback.retries,
        expires_at=moment_or_none(record.expires_at),
        expires_in=seconds_until_or_none(record.expires_at, now),
        monitor_until=moment_or_none(record.monitor_until),
        created_at=moment(record.created_at),
        updated_at=moment(record.updated_at),
        paid_at=moment_or_none(record.paid_at),
        needs_attention=record.set_aside,
    )


def _display_amount(record: InvoiceRecord) -> Amount | None:
    """What a price in a coin was worth, when it was made, in the currency that it is shown in beside it."""
    if record.amount is None or record.display_rate is None or record.display_currency is None:
        return None
    worth = Fraction(record.amount) * Fraction(record.display_rate)
    return format_fixed(worth, minor_digits(record.display_currency))
