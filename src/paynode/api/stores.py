"""Stores: made in the config, seen here; and what signs their invoices' callbacks."""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from paynode.api.body import Form, Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.routes import Call, Routes, answer
from paynode.config import InvoiceDefaults, LatePayment
from paynode.domain.errors import NotFound
from paynode.domain.money import format_decimal
from paynode.operations import callbacks
from paynode.operations.once import Answer
from paynode.operations.views import webhooks as views
from paynode.operations.views.branding import BrandingView, branding_view
from paynode.operations.views.invoice import AddressPolicyView, ToleranceView
from paynode.operations.views.shapes import Moment, View, moment
from paynode.operations.views.webhooks import CallbackSecretView
from paynode.store import stores as rows
from paynode.store.database import Tx
from paynode.store.stores import StoreRecord

routes = Routes()


class TermsView(View, frozen=True):
    """What new invoices get unless they say otherwise; durations in seconds."""

    currency: str | None
    expires_in: int
    monitor_for: int
    quote_valid_for: int
    late_payment: LatePayment
    tolerance: ToleranceView
    address_policy: AddressPolicyView


class StoreView(View, frozen=True, tag_field="object", tag="store"):
    """A store; `key` is its name in the config. Once it left that, `enabled` is false, and only its name is known.

    `treasuries` are addresses by network, `account` is its branch of the key tree.
    """

    id: str
    key: str
    name: str
    enabled: bool
    livemode: bool
    created_at: Moment
    account: int | None
    treasuries: dict[str, str]
    payer_may_cancel: bool
    allowed_origins: list[str]
    branding: BrandingView | None
    invoices: TermsView | None


class CallbackSecretForm(Form, frozen=True):
    secret: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


@routes.get("/v1/stores", scope="store:read", shows=ListView[StoreView])
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """List the stores of the config."""
    return list_answer(_view(call, record) for record in rows.all_stores(tx) if call.store_id in {None, record.id})


@routes.get("/v1/stores/<store_id>", scope="store:read", shows=StoreView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a store."""
    return answer(_view(call, _load(tx, call.path["store_id"], call.store_id)))


@routes.post(
    "/v1/stores/<store_id>/rotate_callback_secret",
    CallbackSecretForm,
    scope="webhooks:write",
    shows=CallbackSecretView,
)
def rotate_callback_secret(call: Call[CallbackSecretForm], tx: Tx) -> Answer:
    """Give a store a new secret for its invoices' callbacks. The answer shows it; a replay of it does not."""
    store = _load(tx, call.path["store_id"], call.store_id)
    record = callbacks.rotate_secret(tx, store.id, secret=call.form.secret, now=call.now)
    told, kept = answer(views.callback_secret(record, with_secret=True)), answer(views.callback_secret(record))
    return Answer(told.status, told.body, kept_body=kept.body)


def _load(tx: Tx, store_id: str, of_caller: str | None) -> StoreRecord:
    record = rows.by_id(tx, store_id)
    if record is None or of_caller not in {None, record.id}:
        raise NotFound("store")
    return record


def _view(call: Call[Nothing], record: StoreRecord) -> StoreView:
    catalogue = call.node.catalogue
    key = catalogue.store_keys.get(record.id)
    store = None if key is None else catalogue.config.stores[key]
    found = {} if key is None else {name: catalogue.config.treasury(key, name) for name in catalogue.networks}
    return StoreView(
        id=record.id,
        key=record.name,
        name=record.name if store is None else store.name,
        enabled=store is not None,
        livemode=catalogue.is_live,
        created_at=moment(record.created_at),
        account=None if store is None else store.account,
        treasuries={name: address for name, address in found.items() if address is not None},
        payer_may_cancel=store is not None and store.payer_may_cancel,
        allowed_origins=[] if store is None else list(store.allowed_origins),
        branding=None if store is None else branding_view(store.branding),
        invoices=None if store is None else _terms(store.invoices),
    )


def _terms(terms: InvoiceDefaults) -> TermsView:
    rest = terms.address_policy.rest
    return TermsView(
        currency=terms.currency,
        expires_in=_seconds(terms.expires_in),
        monitor_for=_seconds(terms.monitor_for),
        quote_valid_for=_seconds(terms.quote_valid_for),
        late_payment=terms.late_payment,
        tolerance=ToleranceView(
            under_percent=format_decimal(terms.tolerance.under_percent),
            over_percent=format_decimal(terms.tolerance.over_percent),
        ),
        address_policy=AddressPolicyView(mode=terms.address_policy.mode, rest=None if rest is None else _seconds(rest)),
    )


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
