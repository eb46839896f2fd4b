"""Making an invoice: what a merchant asks for becomes terms that hold, with a locked price per method."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial

import msgspec

from paynode.config import InvoiceDefaults
from paynode.domain.addresses import AddressMode, AddressPolicy
from paynode.domain.depth import depth_needed
from paynode.domain.errors import Conflict, FieldProblem, RateUnavailable
from paynode.domain.events import EventType
from paynode.domain.invoice import PaymentState, Status, Tolerance, Type
from paynode.domain.money import Asset
from paynode.domain.quote import Quote, worth_at_rate
from paynode.domain.sweep import InvoiceSweep
from paynode.operations.addresses import issue_address
from paynode.operations.callbacks import CreateCallback, add_callback
from paynode.operations.catalogue import Catalogue, Derive
from paynode.operations.judging import tell
from paynode.operations.loading import LoadedInvoice
from paynode.operations.moments import terms_begin
from paynode.operations.offering import Asked, offered
from paynode.operations.pricing import rate_for, usable, why_unusable
from paynode.operations.quoting import locked
from paynode.operations.rates import want
from paynode.store import invoices
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.invoices import InvoiceRecord, MethodRecord

CONFIRMATIONS_MAX = 10_000
POOL_EXPIRES_IN = timedelta(days=30)  # many payers need longer than one at a till


@dataclass(frozen=True, slots=True)
class CreateInvoice:
    """A merchant's request, parsed. None where the store's default applies."""

    amount: Decimal | None  # None: the payer decides how much; never of a pool, always of a reusable one
    currency: str  # upper case: ISO 4217, or the symbol of a coin we offer
    methods: Sequence[str]  # names of offered methods, in the order to show them; empty: all
    optional_methods: frozenset[str] = frozenset()  # of those, the ones to leave out if they are not fit
    type: Type = Type.ONE_TIME
    min_amount: Decimal | None = None  # only without an amount
    markup_percent: Decimal = Decimal(0)
    rates: Mapping[str, Decimal] = field(default_factory=dict)  # by method: what the merchant says a coin costs
    display_currency: str | None = None  # only of a price in a coin
    expires_in: timedelta | None = None  # never of a reusable one
    confirmations: Mapping[str, int] | int | None = None
    tolerance: Tolerance | None = None
    address_policy: AddressPolicy | None = None
    name: str | None = None
    description: str | None = None
    order_id: str | None = None
    is_order_id_unique: bool = False
    customer: str | None = None
    metadata: Mapping[str, str] | None = None
    language: str | None = None
    success_url: str | None = None
    fail_url: str | None = None
    callback: CreateCallback | None = None
    provision: bool = False  # issue addresses for every method now


@dataclass(frozen=True, slots=True)
class CreatedInvoice:
    """An invoice, and how its event shows it, as JSON: to build that again for the answer would take as long."""

    loaded: LoadedInvoice
    view: msgspec.Raw


def create_invoice(
    tx: Tx, catalogue: Catalogue, store_id: str, command: CreateInvoice, derive: Derive, now: datetime
) -> CreatedInvoice:
    """Make an invoice with a locked quote per method.

    Raises:
        Invalid: an unknown method or currency, or an amount that cannot be paid.
        RateUnavailable: a method asked for, or every method, has no usable rate.
        Conflict: its order has an invoice already, and was to have only one.
    """
    if command.is_order_id_unique and command.order_id is not None:
        require_new_order(tx, store_id, command.order_id)
    asked = Asked(command.amount, command.currency, command.rates)
    assets = offered(tx, catalogue, store_id, command.methods, command.optional_methods, asked, now)
    record = _record(tx, catalogue, store_id, command, assets, now)
    entries = [
        MethodRecord(
            record.id,
            position,
            asset.method,
            asset.network,
            catalogue.networks[asset.network].confirmations,
            own_rate=None if command.currency == asset.symbol.upper() else command.rates.get(asset.method),
        )
        for position, asset in enumerate(assets)
    ]
    loaded = LoadedInvoice(record, entries, {}, {}, totals=(), head_numbers={})
    quotes = locked(tx, catalogue, loaded, entries, now)
    entries = [_deep_enough(tx, catalogue, command, loaded, entry, dict(quotes), now) for entry in entries]
    invoices.add(tx, record, entries)
    callback = None if command.callback is None else add_callback(tx, record.id, store_id, command.callback)
    want(tx, catalogue, command.currency, now)
    invoices.add_quotes(tx, record.id, quotes)
    loaded = replace(loaded, methods=entries, quotes={method: [quote] for method, quote in quotes}, callback=callback)
    if command.provision:
        issued = [issue_address(tx, catalogue, loaded, entry, derive, now) for entry in entries]
        entries = [replace(entry, provisioned_at=now) for entry in entries]
        loaded = replace(loaded, methods=entries, addresses={each.family: each for each in issued})
    return CreatedInvoice(loaded, tell(tx, catalogue, loaded, [EventType.INVOICE_CREATED], now))


def require_new_order(tx: Tx, store_id: str, order_id: str) -> None:
    """Raises:
    Conflict: the store has an invoice with this `order_id`.
    """
    existing = invoices.of_order(tx, store_id, order_id)
    if existing is not None:
        detail = f"Invoice {existing} has this order_id already."
        raise Conflict("order_id_taken", detail, FieldProblem("/order_id", "taken", detail, resource=existing))


def _record(
    tx: Tx, catalogue: Catalogue, store_id: str, command: CreateInvoice, assets: Sequence[Asset], now: datetime
) -> InvoiceRecord:
    terms = catalogue.terms(store_id)
    tolerance = command.tolerance or terms.tolerance
    expires_at = None
    if command.type is not Type.REUSABLE:
        default = POOL_EXPIRES_IN if command.type is Type.POOL else terms.expires_in
        expires_at = terms_begin(tx, (asset.network for asset in assets), now) + (command.expires_in or default)
    return InvoiceRecord(
        id=new_id("inv", now),
        store_id=store_id,
        type=command.type,
        status=Status.OPEN,
        payment_state=PaymentState.NONE,
        sweep_state=InvoiceSweep.NOT_APPLICABLE,
        amount=command.amount,
        min_amount=command.min_amount,
        currency=command.currency,
        markup_percent=command.markup_percent,
        display_currency=command.display_currency,
        display_rate=_display_rate(tx, catalogue, command, now),
        under_percent=tolerance.under_percent,
        over_percent=tolerance.over_percent,
        is_late_accepted=terms.late_payment == "accept",
        name=command.name,
        description=command.description,
        order_id=command.order_id,
        is_order_id_unique=command.is_order_id_unique,
        customer=command.customer,
        metadata=json.dumps(command.metadata or {}, ensure_ascii=False),
        language=command.language,
        success_url=command.success_url,
        fail_url=command.fail_url,
        quote_seconds=_seconds(terms.quote_valid_for),
        monitor_seconds=_seconds(terms.monitor_for),
        created_at=now,
        updated_at=now,
        expires_at=expires_at,
        monitor_until=None if expires_at is None else expires_at + terms.monitor_for,
        rest_seconds=_rest_seconds(command, terms),
    )


def _rest_seconds(command: CreateInvoice, terms: InvoiceDefaults) -> int | None:
    policy = command.address_policy or terms.address_policy
    if policy.mode is AddressMode.FRESH or command.type is Type.REUSABLE:  # which keeps its addresses for ever
        return None
    return _seconds(policy.rest or terms.monitor_for)


def _display_rate(tx: Tx, catalogue: Catalogue, command: CreateInvoice, now: datetime) -> Decimal | None:
    """What one whole coin of the price costs in the currency that it is shown in beside its own."""
    if command.display_currency is None:
        return None
    coin = command.currency.lower()
    fit = usable(tx, catalogue, coin, command.display_currency, now)
    if fit is None:
        reason = why_unusable(tx, catalogue, coin, command.display_currency, now)
        raise RateUnavailable(coin, command.display_currency, reason)
    return fit.value


def _deep_enough(
    tx: Tx,
    catalogue: Catalogue,
    command: CreateInvoice,
    loaded: LoadedInvoice,
    entry: MethodRecord,
    quotes: Mapping[str, Quote],
    now: datetime,
) -> MethodRecord:
    """The method with the confirmations that a deposit by it needs: those asked for, else what its amount calls for."""
    asked = command.confirmations
    if isinstance(asked, Mapping):
        asked = asked.get(entry.method)
    if asked is not None:
        return replace(entry, confirmations=asked)
    worth_in = partial(_worth_in, tx, loaded, catalogue.assets[entry.method], quotes.get(entry.method), now)
    tiers = catalogue.networks[entry.network].confirmations_from
    return replace(entry, confirmations=depth_needed(entry.confirmations, tiers, worth_in))


def _worth_in(
    tx: Tx, loaded: LoadedInvoice, asset: Asset, quote: Quote | None, now: datetime, currency: str
) -> Fraction | None:
    """What is asked for, in `currency`; None where the payer decides, or no rate was ever known."""
    if quote is None or loaded.price is None:
        return None
    if currency == loaded.price.currency:
        return Fraction(loaded.price.amount)
    try:
        return worth_at_rate(quote.units, rate_for(tx, currency, asset, now), asset)
    except RateUnavailable:
        return None


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
