"""Rates as operations use them: what one coin costs in the currency of an invoice.

The one rule (I27): a price is locked only with a rate that the config fixes, or with a live one that is fresh.
"""

from datetime import datetime
from decimal import Decimal

from paynode.domain.durations import format_duration
from paynode.domain.errors import RateUnavailable
from paynode.domain.money import Asset
from paynode.domain.quote import Rate
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import InvoiceFacts
from paynode.store import rates
from paynode.store.database import Tx


def rate_to_lock(tx: Tx, catalogue: Catalogue, currency: str, asset: Asset, now: datetime) -> Decimal:
    """What one whole `asset` costs in `currency` now, fit to lock a price with; in the asset itself that is 1.

    Raises:
        RateUnavailable: none is fixed, and none is fresh; says why.
    """
    if currency == asset.symbol.upper():
        return Decimal(1)
    fit = usable(tx, catalogue, asset.symbol, currency, now)
    if fit is None:
        reason = why_unusable(tx, catalogue, asset.symbol, currency, now)
        raise RateUnavailable(asset.symbol, currency, reason)
    return fit.value


def usable(tx: Tx, catalogue: Catalogue, base: str, quote: str, now: datetime) -> Rate | None:
    """The rate that prices may be locked with, if there is one."""
    fixed = catalogue.config.static_rates.get((base, quote))
    if fixed is not None:
        return Rate(base, quote, fixed, now, rates.STATIC)
    live = rates.latest(tx, base, quote, now)
    is_fit = live is not None and live.source != rates.STATIC and now - live.at <= catalogue.config.rates.age_max
    return live if is_fit else None


def why_unusable(tx: Tx, catalogue: Catalogue, base: str, quote: str, now: datetime) -> str:
    """Why `usable` finds none, for people."""
    if not catalogue.config.rates.sources:
        return "the node's config fixes none (rates.static), and names nobody to ask (rates.sources, rates.urls)"
    reason = rates.refusal(tx, base, quote)
    if reason is not None:
        return reason
    live = rates.latest(tx, base, quote, now)
    if live is None or live.source == rates.STATIC:
        return "the sources have not been heard yet"
    return f"the last one is older than {format_duration(catalogue.config.rates.age_max)}"


def rate_for(tx: Tx, currency: str, asset: Asset, moment: datetime) -> Decimal:
    """What one whole `asset` cost in `currency` at `moment`, as near as is known; in the asset itself that is 1.

    For judging what something is worth; it locks no price.

    Raises:
        RateUnavailable: no such rate was ever known.
    """
    if currency == asset.symbol.upper():
        return Decimal(1)
    rate = rates.nearest(tx, asset.symbol, currency, moment)
    if rate is None:
        raise RateUnavailable(asset.symbol, currency, "none was ever known")
    return rate.value


def rate_of(tx: Tx, loaded: InvoiceFacts, asset: Asset, moment: datetime) -> Decimal:
    """What one whole `asset` counted for on this invoice at `moment`: what its merchant said, else `rate_for`.

    Raises:
        RateUnavailable: the merchant said nothing, and no such rate was ever known.
    """
    entry = loaded.entry(asset.method)
    if entry is not None and entry.own_rate is not None:
        return entry.own_rate
    return rate_for(tx, loaded.record.currency, asset, moment)
