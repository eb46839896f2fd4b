"""Live rates: which pairs are kept fresh, what the sources' round left, and what is shown of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zlib import crc32

from paynode.domain.money import format_decimal
from paynode.domain.quote import Rate
from paynode.operations.catalogue import Catalogue
from paynode.operations.pricing import usable, why_unusable
from paynode.operations.views.shapes import Amount, Moment, View, moment
from paynode.store import bells, rates
from paynode.store.database import Tx

Pair = tuple[str, str]  # a coin's symbol, lower case; a currency, upper case

ALWAYS = "USD"  # what sweeps are weighed in by default
TETHER = ("usdt", "USD")  # what the prices of a source without a market in dollars are told by


class RateView(View, frozen=True, tag_field="object", tag="rate"):
    """What one whole `base` costs in `quote`; not usable: no price is locked with it now, for the reason."""

    base: str
    quote: str
    rate: Amount | None
    at: Moment | None
    sources: list[str]
    usable: bool
    reason: str | None


def pairs(tx: Tx, catalogue: Catalogue) -> Sequence[Pair]:
    """The pairs that matter: each coin on offer, in each currency in use; the fixed ones are nobody's to ask."""
    networks = catalogue.networks.values()
    limits = [network.sweep.min_value for network in networks if network.sweep.min_value is not None]
    limits += [tier.amount for network in networks for tier in network.confirmations_from]
    in_use = [ALWAYS, *(limit.currency for limit in limits), *rates.currencies(tx)]
    symbols = dict.fromkeys(asset.symbol for asset in catalogue.assets.values())
    wanted = [TETHER, *((symbol, currency) for currency in in_use for symbol in symbols)]
    fixed = catalogue.config.static_rates
    return [pair for pair in dict.fromkeys(wanted) if pair[0].upper() != pair[1] and pair not in fixed]


def want(tx: Tx, catalogue: Catalogue, currency: str, now: datetime) -> bool:
    """Keep rates in `currency` fresh from now on; tells whether that is new, and somebody is being asked."""
    is_new = rates.note_currency(tx, currency, now) and bool(catalogue.config.rates.sources)
    if is_new:
        tx.ring(bells.RATES)
    return is_new


def last_good(tx: Tx, wanted: Iterable[Pair], now: datetime) -> Mapping[Pair, Rate]:
    """The newest live rate of each pair that has one."""
    found = ((pair, rates.latest(tx, *pair, now)) for pair in wanted)
    return {pair: rate for pair, rate in found if rate is not None and rate.source != rates.STATIC}


def keep(tx: Tx, believed: Iterable[Rate], refused: Mapping[Pair, str], now: datetime) -> None:
    """Store what a round left: rates, and reasons why there is none.

    Each pair has a minute of the hour in which its history is thinned, so that no round does it for all.
    """
    for rate in believed:
        rates.add(tx, rate)
        rates.believe(tx, rate.base, rate.quote)
        if crc32(f"{rate.base}/{rate.quote}".encode()) % 60 == now.minute:
            rates.thin(tx, rate.base, rate.quote, now)
    for pair, reason in refused.items():
        rates.refuse(tx, *pair, reason, now)


def views(tx: Tx, catalogue: Catalogue, now: datetime) -> list[RateView]:
    """Every pair that prices are locked in, or would be."""
    symbols = {asset.symbol for asset in catalogue.assets.values()}
    shown = {pair for pair in (*catalogue.config.static_rates, *pairs(tx, catalogue)) if pair[0] in symbols}
    return [_view(tx, catalogue, pair, now) for pair in sorted(shown)]


def _view(tx: Tx, catalogue: Catalogue, pair: Pair, now: datetime) -> RateView:
    fit = usable(tx, catalogue, *pair, now)
    shown = fit or rates.latest(tx, *pair, now)
    return RateView(
        base=pair[0],
        quote=pair[1],
        rate=None if shown is None else format_decimal(shown.value),
        at=None if shown is None else moment(shown.at),
        sources=[] if shown is None else shown.source.split("+"),
        usable=fit is not None,
        reason=None if fit is not None else why_unusable(tx, catalogue, *pair, now),
    )
