"""The rate lock: a price and a rate become an amount due that holds until a deadline.

    locked -> lapsed        a quote is never edited: a new one follows it

The one rule: nobody gets a free option. What arrives within a quote is worth its share of that quote; what
arrives after it lapsed is worth its units at the rate of its own moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from paynode.domain.money import Asset, power_of_ten, to_units


@dataclass(frozen=True, slots=True)
class Price:
    """What an invoice asks for, in its own currency (fiat by ISO 4217, or a coin's symbol), upper case."""

    amount: Decimal
    currency: str
    markup_percent: Decimal = Decimal(0)  # on top, where a rate converts it; below zero a discount

    def is_in(self, asset: Asset) -> bool:
        """Whether the price is already an amount of `asset`."""
        return self.currency == asset.symbol.upper()


@dataclass(frozen=True, slots=True)
class Rate:
    """One whole `base` costs `value` of `quote`."""

    base: str  # symbol, lower case
    quote: str  # currency, upper case
    value: Decimal
    at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Quote:
    """An amount due, locked."""

    units: int
    rate: Decimal
    locked_at: datetime
    valid_until: datetime

    def holds_at(self, moment: datetime) -> bool:
        return moment <= self.valid_until


def amount_due(price: Price, rate: Decimal, asset: Asset) -> int:
    """The fewest units of `asset` worth at least `price` with its markup, never less than one.

    A price in another currency rounds up to the asset's payable precision, so the merchant is never short;
    a price in the asset itself never rounds, and has no markup, since nothing is exchanged.

    Raises:
        NotAnAmount: the price is in the asset itself and finer than its base unit.
    """
    if price.is_in(asset):
        return to_units(price.amount, asset.decimals)
    step = power_of_ten(asset.decimals - asset.payable_decimals)
    exact = Fraction(price.amount) * _marked_up(price.markup_percent) / Fraction(rate) * power_of_ten(asset.decimals)
    steps = -((-exact.numerator) // (exact.denominator * step))
    return max(steps * step, 1)


def _marked_up(percent: Decimal) -> Fraction:
    """What a price is multiplied by before it is exchanged, and what comes in is divided by."""
    return 1 + Fraction(percent) / 100


def lock(price: Price, rate: Decimal, asset: Asset, *, now: datetime, valid_for: timedelta) -> Quote:
    """A quote for `price` in `asset` that holds for `valid_for`."""
    return Quote(amount_due(price, rate, asset), rate, now, now + valid_for)


def still_due(quote: Quote, price: Price, seen: Fraction, asset: Asset) -> int:
    """The units that a payer is asked for once `seen` has come: the rest's share, up to what a wallet can pay."""
    amount = Fraction(price.amount)
    share = quote.units * max(amount - seen, Fraction(0)) / amount
    step = 1 if price.is_in(asset) else power_of_ten(asset.decimals - asset.payable_decimals)
    return min(quote.units, -((-share.numerator) // (share.denominator * step)) * step)


def quote_for(quotes: Iterable[Quote], moment: datetime) -> Quote | None:
    """The quote that prices a payment made at `moment`, if one held then.

    The first quote also prices payments stamped before it was locked: a block's time may run behind ours.
    """
    ordered = sorted(quotes, key=lambda quote: quote.locked_at)
    for quote in reversed(ordered[1:]):
        if quote.locked_at <= moment and quote.holds_at(moment):
            return quote
    if ordered and ordered[0].holds_at(moment):
        return ordered[0]
    return None


def worth_in_quote(units: int, quote: Quote, price: Price) -> Fraction:
    """What `units` are worth in the price's currency as a share of a quote: all of it is exactly the price."""
    return Fraction(price.amount) * units / quote.units


def worth_at_rate(units: int, rate: Decimal, asset: Asset, markup_percent: Decimal = Decimal(0)) -> Fraction:
    """What `units` are worth at a rate, where a price has this markup."""
    return Fraction(rate) * units / power_of_ten(asset.decimals) / _marked_up(markup_percent)
