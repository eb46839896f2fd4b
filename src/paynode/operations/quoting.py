"""Locking prices: which methods of an invoice get a quote, by which rate, for how long.

An invoice without an amount has none: what comes in is worth the rate of its own moment.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from paynode.domain.errors import Invalid, RateUnavailable
from paynode.domain.money import Asset, NotAnAmount
from paynode.domain.quote import Price, Quote, lock
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.moments import terms_begin
from paynode.operations.pricing import rate_to_lock
from paynode.store import invoices
from paynode.store.database import Tx
from paynode.store.invoices import MethodRecord


def locked(
    tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, entries: Sequence[MethodRecord], now: datetime
) -> list[tuple[str, Quote]]:
    """A quote for each of `entries`, by its method; not stored yet.

    Raises:
        RateUnavailable: one of them has no usable rate.
        Invalid: the price is in a coin, and finer than its smallest part.
    """
    if loaded.price is None:
        _require_worth(tx, catalogue, loaded, entries, now)
        return []
    return [(entry.method, _quote(tx, catalogue, loaded, loaded.price, entry, now)) for entry in entries]


def renew_if_lapsed(
    tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, entries: Sequence[MethodRecord], now: datetime
) -> bool:
    """Lock new prices for those of `entries` whose quote lapsed; tells whether there were any.

    Raises:
        RateUnavailable: there were, and none of them has a rate.
    """
    renewed: list[tuple[str, Quote]] = []
    unpriced: RateUnavailable | None = None
    for entry in entries if loaded.price is not None else ():
        is_offered = entry.method in catalogue.assets
        if not is_offered or loaded.quotes[entry.method][-1].holds_at(terms_begin(tx, [entry.network], now)):
            continue
        try:
            renewed += locked(tx, catalogue, loaded, [entry], now)
        except RateUnavailable as problem:  # one coin without a rate keeps nobody from paying in another
            unpriced = problem
    if unpriced is not None and not renewed:
        raise unpriced
    invoices.add_quotes(tx, loaded.record.id, renewed)
    return bool(renewed)


def _require_worth(
    tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, entries: Sequence[MethodRecord], now: datetime
) -> None:
    """Without an amount nothing is locked, but what comes in must be worth something."""
    for entry in entries:
        if entry.own_rate is None:
            rate_to_lock(tx, catalogue, loaded.record.currency, catalogue.assets[entry.method], now)


def _quote(
    tx: Tx, catalogue: Catalogue, loaded: LoadedInvoice, price: Price, entry: MethodRecord, now: datetime
) -> Quote:
    asset: Asset = catalogue.assets[entry.method]
    begins_at = terms_begin(tx, [entry.network], now)
    record = loaded.record
    valid_for = timedelta(seconds=record.quote_seconds)
    rate = entry.own_rate
    if rate is None:
        rate = rate_to_lock(tx, catalogue, price.currency, asset, now)
    elif record.expires_at is not None:  # the merchant's own word does not lapse before the invoice
        valid_for = max(valid_for, record.expires_at - begins_at)
    try:
        return lock(price, rate, asset, now=begins_at, valid_for=valid_for)
    except NotAnAmount as problem:
        detail = f"The amount {problem}, which are all that {asset.method} has."
        raise Invalid.field("/amount", "too_many_decimals", detail) from problem
