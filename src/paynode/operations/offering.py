"""Which payment methods a new invoice offers.

A method that the merchant names must be fit to be offered; one that only a group means, or nobody named, is left out
where it is not.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from paynode.domain.errors import FieldProblem, Invalid, RateUnavailable
from paynode.domain.money import Asset
from paynode.operations.catalogue import Catalogue
from paynode.operations.pricing import usable, why_unusable
from paynode.store import methods, refused_methods
from paynode.store.database import Tx
from paynode.store.methods import MethodSetting


def offered(
    tx: Tx,
    catalogue: Catalogue,
    store_id: str,
    wanted: Iterable[str],
    optional: frozenset[str],
    price: "Asked",
    now: datetime,
) -> list[Asset]:
    """The assets of the methods that are `wanted`, without those of `optional` that are not fit; none wanted: all fit.

    Raises:
        Invalid: a method is unknown, the store has switched it off or asks for more, or none is left.
        RateUnavailable: none is left, since no rate is known for any.
    """
    names = list(dict.fromkeys(wanted))
    if not names:
        names, optional = list(catalogue.assets), frozenset(catalogue.assets)
    refused, settings = refused_methods.reasons(tx), methods.settings(tx, store_id)
    found: list[Asset] = []
    problems: list[FieldProblem] = []
    for name in names:
        if (asset := catalogue.assets.get(name)) is None:
            detail = f'No payment method "{name}" is offered here.'
            problems.append(FieldProblem("/methods", "unknown_method", detail))
        elif (problem := _unfit(tx, catalogue, asset, settings.get(name), price, now)) is not None:
            problems += [] if name in optional else [problem]
        elif name not in optional or (name not in refused and price.has_rate(tx, catalogue, asset, now)):
            found.append(asset)
    if problems:
        raise Invalid(problems)
    if not found:
        raise _none_left(tx, catalogue, [catalogue.assets[name] for name in names], price, now)
    return found


class Asked:
    """What the invoice asks for, as far as it decides which methods fit."""

    __slots__ = ("amount", "currency", "rates")

    def __init__(self, amount: Decimal | None, currency: str, rates: Mapping[str, Decimal]) -> None:
        self.amount = amount
        self.currency = currency
        self.rates = rates  # the merchant's own, by method

    def has_rate(self, tx: Tx, catalogue: Catalogue, asset: Asset, now: datetime) -> bool:
        return self.rate(tx, catalogue, asset, self.currency, now) is not None

    def rate(self, tx: Tx, catalogue: Catalogue, asset: Asset, currency: str, now: datetime) -> Decimal | None:
        """What one whole coin of `asset` costs in `currency`, fit to lock a price with."""
        if currency == asset.symbol.upper():
            return Decimal(1)
        if currency == self.currency and asset.method in self.rates:
            return self.rates[asset.method]
        fit = usable(tx, catalogue, asset.symbol, currency, now)
        return None if fit is None else fit.value

    def worth(self, tx: Tx, catalogue: Catalogue, asset: Asset, currency: str, now: datetime) -> Decimal | None:
        """The amount in `currency`, by what `asset` costs in both; None where that is not known."""
        if self.amount is None or currency == self.currency:
            return self.amount
        own, other = (self.rate(tx, catalogue, asset, each, now) for each in (self.currency, currency))
        return None if own is None or other is None else self.amount / own * other


def _unfit(
    tx: Tx, catalogue: Catalogue, asset: Asset, setting: MethodSetting | None, price: Asked, now: datetime
) -> FieldProblem | None:
    """Why the store does not offer it for this price."""
    if setting is None:
        return None
    if not setting.is_offered:
        detail = f"The store has switched {asset.method} off; see PATCH /v1/payment_methods."
        return FieldProblem("/methods", "method_switched_off", detail)
    if setting.minimum is None or setting.minimum_currency is None:
        return None
    worth = price.worth(tx, catalogue, asset, setting.minimum_currency, now)
    if worth is None or worth >= setting.minimum:
        return None
    detail = f"The store offers {asset.method} from {setting.minimum:f} {setting.minimum_currency} on."
    return FieldProblem("/methods", "below_minimum", detail)


def _none_left(
    tx: Tx, catalogue: Catalogue, assets: Iterable[Asset], price: Asked, now: datetime
) -> Invalid | RateUnavailable:
    unpriced = [asset for asset in assets if not price.has_rate(tx, catalogue, asset, now)]
    if unpriced:
        symbol = unpriced[0].symbol
        reason = why_unusable(tx, catalogue, symbol, price.currency, now)
        return RateUnavailable("any method", price.currency, f"{symbol}: {reason}")
    detail = "The store offers none of these methods for this amount."
    return Invalid.field("/methods", "no_method", detail)
