"""Who says what coins cost: the exchanges' public APIs, and URLs of the merchant's own."""

from collections.abc import Callable, Iterable
from datetime import datetime

from paynode.config import RateSource as Configured
from paynode.sources.http import HttpClient
from paynode.sources.rates.base import Pair, RateSource
from paynode.sources.rates.binance import Binance
from paynode.sources.rates.coinbase import Coinbase
from paynode.sources.rates.custom import Custom
from paynode.sources.rates.kraken import Kraken

__all__ = ["Pair", "RateSource", "opened"]

BASE_URLS = {
    "kraken": "https://api.kraken.com",
    "coinbase": "https://api.coinbase.com",
    "binance": "https://data-api.binance.vision",  # its host for public data alone, served where trading is not
}


def opened(configured: Iterable[Configured], clock: Callable[[], datetime]) -> tuple[RateSource, ...]:
    """The sources of a config; whoever opens them closes them."""
    return tuple(_opened(each, clock) for each in configured)


def _opened(configured: Configured, clock: Callable[[], datetime]) -> RateSource:
    if configured.url is not None:
        return Custom(configured.name, HttpClient(), configured.url.reveal(), clock)
    client = HttpClient(BASE_URLS[configured.name])
    match configured.name:
        case "kraken":
            return Kraken(client, clock)
        case "coinbase":
            return Coinbase(client, clock)
        case "binance":
            return Binance(client, clock)
        case name:
            raise AssertionError(f"the config knows no source {name}")
