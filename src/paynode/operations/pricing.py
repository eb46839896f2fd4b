"""Rates as operations use them: what one coin costs in the currency of an invoice."""

from datetime import datetime
from decimal import Decimal

from paynode.domain.errors import RateUnavailable
from paynode.domain.money import Asset
from paynode.store import rates
from paynode.store.database import Tx


def rate_for(tx: Tx, currency: str, asset: Asset, moment: datetime) -> Decimal:
    """What one whole `asset` cost in `currency` at `moment`; a price in the asset itself has the rate 1.

    Raises:
        RateUnavailable: no such rate is known.
    """
    if currency == asset.symbol.upper():
        return Decimal(1)
    rate = rates.at(tx, asset.symbol, currency, moment)
    if rate is None:
        raise RateUnavailable(asset.symbol, currency)
    return rate.value


def has_rate(tx: Tx, currency: str, asset: Asset, moment: datetime) -> bool:
    """Whether `rate_for` knows one."""
    return currency == asset.symbol.upper() or rates.at(tx, asset.symbol, currency, moment) is not None
