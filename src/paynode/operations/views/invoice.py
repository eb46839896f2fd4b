"""An invoice as its merchant sees it."""

import json
from datetime import datetime
from fractions import Fraction
from functools import partial

from paynode.domain.invoice import PaymentState, Status, final_worth, seen_worth
from paynode.domain.money import format_decimal
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
    moment,
    moment_or_none,
    seconds_until,
)


class ToleranceView(View, frozen=True):
    under_percent: Amount
    over_percent: Amount


class InvoiceView(View, frozen=True, tag_field="object", tag="invoice"):
    id: str
    store: str
    livemode: bool
    type: str
    status: Status
    payment_state: PaymentState
    sweep_state: InvoiceSweep
    screening: str
    late: bool
    amount: Amount
    currency: str
    amount_paid: Amount
    amount_confirmed: Amount
    amount_due: Amount
    amount_overpaid: Amount
    tolerance: ToleranceView
    name: str | None
    description: str | None
    order_id: str | None
    customer: str | None
    metadata: dict[str, str]
    methods: list[MethodView]
    deposits: list[DepositView]
    checkout_url: Url
    success_url: Url | None
    fail_url: Url | None
    expires_at: Moment
    expires_in: int
    monitor_until: Moment
    created_at: Moment
    updated_at: Moment
    paid_at: Moment | None
    needs_attention: str | None


def invoice(catalogue: Catalogue, loaded: LoadedInvoice, now: datetime) -> InvoiceView:
    record = loaded.record
    price, seen, final = Fraction(record.amount), seen_worth(loaded.payments), final_worth(loaded.payments)
    amount = partial(amount_of, catalogue, record.currency)
    return InvoiceView(
        id=record.id,
        store=record.store_id,
        livemode=catalogue.is_live,
        type=record.type,
        status=record.status,
        payment_state=record.payment_state,
        sweep_state=record.sweep_state,
        screening="not_screened",
        late=record.is_late,
        amount=format_decimal(record.amount),
        currency=record.currency,
        amount_paid=amount(seen),
        amount_confirmed=amount(final),
        amount_due=amount(max(price - seen, Fraction(0)), round_up=True),
        amount_overpaid=amount(max(seen - price, Fraction(0))),
        tolerance=ToleranceView(
            under_percent=format_decimal(record.under_percent), over_percent=format_decimal(record.over_percent)
        ),
        name=record.name,
        description=record.description,
        order_id=record.order_id,
        customer=record.customer,
        metadata=json.loads(record.metadata),
        methods=[method(catalogue, loaded, entry, now) for entry in loaded.methods],
        deposits=[deposit(catalogue, placed, loaded) for placed in loaded.deposits],
        checkout_url=f"{catalogue.public_url}/checkout/{record.id}",
        success_url=record.success_url,
        fail_url=record.fail_url,
        expires_at=moment(record.expires_at),
        expires_in=seconds_until(record.expires_at, now),
        monitor_until=moment(record.monitor_until),
        created_at=moment(record.created_at),
        updated_at=moment(record.updated_at),
        paid_at=moment_or_none(record.paid_at),
        needs_attention=record.set_aside,
    )
