"""What merchants and payers do with invoices: create, provision, requote, cancel, accept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from paynode.domain.errors import Conflict, FieldProblem, Invalid, NotFound, RateUnavailable
from paynode.domain.events import EventType
from paynode.domain.invoice import CLOSED, PaymentState, Status, Tolerance, final_worth
from paynode.domain.money import Asset, NotAnAmount
from paynode.domain.quote import Price, Quote, lock
from paynode.domain.sweep import InvoiceSweep
from paynode.operations import loading
from paynode.operations.addresses import issue_address
from paynode.operations.catalogue import Catalogue, Derive
from paynode.operations.judging import judge_again, tell
from paynode.operations.loading import LoadedInvoice
from paynode.operations.moments import terms_begin
from paynode.operations.pricing import rate_to_lock, usable, why_unusable
from paynode.operations.rates import want
from paynode.store import invoices, refused_methods
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.invoices import AddressRecord, InvoiceRecord, MethodRecord

CONFIRMATIONS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class CreateInvoice:
    """A merchant's request, parsed. None where the store's default applies."""

    amount: Decimal
    currency: str  # upper case: ISO 4217, or the symbol of a coin we offer
    methods: Sequence[str]  # names of offered methods, in the order to show them; empty: all
    expires_in: timedelta | None = None
    confirmations: Mapping[str, int] | int | None = None
    tolerance: Tolerance | None = None
    name: str | None = None
    description: str | None = None
    order_id: str | None = None
    customer: str | None = None
    metadata: Mapping[str, str] | None = None
    success_url: str | None = None
    fail_url: str | None = None
    provision: bool = False  # issue addresses for every method now


def create_invoice(
    tx: Tx, catalogue: Catalogue, store_id: str, command: CreateInvoice, derive: Derive, now: datetime
) -> LoadedInvoice:
    """Make an invoice with a locked quote per method.

    Raises:
        Invalid: an unknown method or currency, or an amount that cannot be paid.
        RateUnavailable: a method asked for, or every method, has no usable rate.
    """
    assets = _offered(tx, catalogue, command, now)
    depths = {asset.method: _depth(catalogue, command, asset) for asset in assets}
    terms, price = catalogue.invoices, Price(command.amount, command.currency)
    expires_at = terms_begin(tx, (asset.network for asset in assets), now) + (command.expires_in or terms.expires_in)
    tolerance = command.tolerance or terms.tolerance
    quotes = [(asset.method, _quote(tx, catalogue, price, asset, terms.quote_valid_for, now)) for asset in assets]
    record = InvoiceRecord(
        id=new_id("inv", now),
        store_id=store_id,
        type="one_time",
        status=Status.OPEN,
        payment_state=PaymentState.NONE,
        sweep_state=InvoiceSweep.NOT_APPLICABLE,
        amount=command.amount,
        currency=command.currency,
        under_percent=tolerance.under_percent,
        over_percent=tolerance.over_percent,
        is_late_accepted=terms.late_payment == "accept",
        name=command.name,
        description=command.description,
        order_id=command.order_id,
        customer=command.customer,
        metadata=json.dumps(command.metadata or {}, ensure_ascii=False),
        success_url=command.success_url,
        fail_url=command.fail_url,
        quote_seconds=_seconds(terms.quote_valid_for),
        monitor_seconds=_seconds(terms.monitor_for),
        created_at=now,
        updated_at=now,
        expires_at=expires_at,
        monitor_until=expires_at + terms.monitor_for,
    )
    entries = [
        MethodRecord(record.id, position, asset.method, asset.network, depths[asset.method])
        for position, asset in enumerate(assets)
    ]
    invoices.add(tx, record, entries)
    want(tx, catalogue, command.currency, now)
    invoices.add_quotes(tx, record.id, quotes)
    addresses: dict[str, AddressRecord] = {}
    if command.provision:
        for entry in entries:
            issued = issue_address(tx, catalogue, record, entry, derive, now)
            addresses[issued.family] = issued
        entries = [replace(entry, provisioned_at=now) for entry in entries]
    loaded = LoadedInvoice(record, entries, {method: [quote] for method, quote in quotes}, addresses, (), {})
    tell(tx, catalogue, loaded, [EventType.INVOICE_CREATED], now)
    return loaded


def provision(
    tx: Tx,
    catalogue: Catalogue,
    invoice_id: str,
    method: str,
    derive: Derive,
    now: datetime,
    store_id: str | None = None,
) -> LoadedInvoice:
    """Issue the address that `method` is paid to; doing it again changes nothing but a lapsed price.

    Raises:
        NotFound: no such invoice, or it does not offer the method.
        Conflict: the invoice is closed or its deadline is over, and the method has no address yet.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    entry = _entry(loaded, method)
    if entry.provisioned_at is None:
        _require_payable(tx, loaded, now)
        issue_address(tx, catalogue, loaded.record, entry, derive, now)
        _renew_if_lapsed(tx, catalogue, loaded, [entry], now)
        return judge_again(tx, catalogue, invoice_id, now, first=[EventType.INVOICE_UPDATED])
    if (
        loaded.record.status is Status.OPEN
        and not _is_overdue(tx, loaded, now)
        and _renew_if_lapsed(tx, catalogue, loaded, [entry], now)
    ):
        return judge_again(tx, catalogue, invoice_id, now, first=[EventType.INVOICE_UPDATED])
    return loaded


def requote(tx: Tx, catalogue: Catalogue, invoice_id: str, now: datetime, store_id: str | None = None) -> LoadedInvoice:
    """Lock new prices for every method whose quote lapsed.

    Raises:
        Conflict: the invoice is closed, its deadline is over, or every quote still holds.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    _require_payable(tx, loaded, now)
    if not _renew_if_lapsed(tx, catalogue, loaded, loaded.methods, now):
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
        Conflict: nothing on it is final yet, or it is paid already or confirming by itself.
    """
    loaded = loading.load(tx, invoice_id, store_id)
    record = loaded.record
    if record.status is Status.PAID:
        return loaded
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


def _require_payable(tx: Tx, loaded: LoadedInvoice, now: datetime) -> None:
    """An open invoice whose deadline is over is one that the chains have not passed yet: a payment now is late."""
    _require_open(loaded)
    if _is_overdue(tx, loaded, now):
        raise Conflict("invoice_expired", "The deadline of this invoice is over; what is paid now comes late.")


def _is_overdue(tx: Tx, loaded: LoadedInvoice, now: datetime) -> bool:
    return terms_begin(tx, (entry.network for entry in loaded.methods), now) > loaded.record.expires_at


def _entry(loaded: LoadedInvoice, method: str) -> MethodRecord:
    for entry in loaded.methods:
        if entry.method == method:
            return entry
    raise NotFound("payment method of this invoice")


def _renew_if_lapsed(
    tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, entries: Sequence[MethodRecord], now: datetime
) -> bool:
    """Lock new prices for those of `entries` whose quote lapsed; tells whether there were any.

    Raises:
        RateUnavailable: there were, and none of them has a rate.
    """
    renewed: list[tuple[str, Quote]] = []
    unpriced: RateUnavailable | None = None
    valid_for = timedelta(seconds=loaded.record.quote_seconds)
    for entry in entries:
        asset = catalogue.assets.get(entry.method)
        if asset is None or loaded.quotes[entry.method][-1].holds_at(terms_begin(tx, [entry.network], now)):
            continue
        try:
            renewed.append((entry.method, _quote(tx, catalogue, loaded.price, asset, valid_for, now)))
        except RateUnavailable as problem:  # one coin without a rate keeps nobody from paying in another
            unpriced = problem
    if unpriced is not None and not renewed:
        raise unpriced
    invoices.add_quotes(tx, loaded.record.id, renewed)
    return bool(renewed)


def _quote(tx: Tx, catalogue: Catalogue, price: Price, asset: Asset, valid_for: timedelta, now: datetime) -> Quote:
    rate = rate_to_lock(tx, catalogue, price.currency, asset, now)
    try:
        return lock(price, rate, asset, now=terms_begin(tx, [asset.network], now), valid_for=valid_for)
    except NotAnAmount as problem:
        raise Invalid.field("/amount", "too_many_decimals", f"{problem} of {asset.method}.") from problem


def _offered(tx: Tx, catalogue: Catalogue, command: CreateInvoice, now: datetime) -> list[Asset]:
    """The assets asked for; if none are named, all that the price can be told in.

    Raises:
        Invalid: names every method that is not offered.
        RateUnavailable: none are named, and no rate is known for any.
    """
    if not command.methods:
        refused = refused_methods.reasons(tx)
        fit = [asset for asset in catalogue.assets.values() if asset.method not in refused]
        known = [asset for asset in fit if _has_rate(tx, catalogue, command.currency, asset, now)]
        if not known:
            first = next(iter(catalogue.assets.values()))
            reason = why_unusable(tx, catalogue, first.symbol, command.currency, now)
            raise RateUnavailable("any method", command.currency, f"{first.symbol}: {reason}")
        return known
    problems = [
        FieldProblem(f"/methods/{position}", "unknown_method", f'No payment method "{method}" is offered here.')
        for position, method in enumerate(command.methods)
        if method not in catalogue.assets
    ]
    if problems:
        raise Invalid(problems)
    return [catalogue.assets[method] for method in dict.fromkeys(command.methods)]


def _has_rate(tx: Tx, catalogue: Catalogue, currency: str, asset: Asset, now: datetime) -> bool:
    is_own = currency == asset.symbol.upper()
    return is_own or usable(tx, catalogue, asset.symbol, currency, now) is not None


def _depth(catalogue: Catalogue, command: CreateInvoice, asset: Asset) -> int:
    """How many confirmations a deposit by this method needs."""
    default = catalogue.networks[asset.network].confirmations
    match command.confirmations:
        case None:
            return default
        case int(depth):
            return depth
        case by_method:
            return by_method.get(asset.method, default)


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
