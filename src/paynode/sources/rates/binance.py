"""Binance's public market data. https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints

It has no market in dollars: for a pair in USD it answers with the price in tether, as its quote says. In currencies
like the euro it sells the currency for tether (EURUSDT), so that such a market is read the other way round.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from paynode.domain.quote import Rate
from paynode.domain.rates import inverse, middle
from paynode.sources.http import HttpClient, SourceFailed
from paynode.sources.rates.base import Pair
from paynode.sources.rates.markets import Market, Markets

NAMES_PATH = "/api/v3/ticker/price"
PATH = "/api/v3/ticker/24hr"  # the one answer with the offers and their time
MILLISECONDS_MAX = 253_402_300_799_000  # the end of the year 9999, as far as moments go


class _Name(msgspec.Struct):
    symbol: str


class _Ticker(msgspec.Struct):
    symbol: str
    bid: Decimal = msgspec.field(name="bidPrice")
    ask: Decimal = msgspec.field(name="askPrice")
    closed_ms: int = msgspec.field(name="closeTime")


class Binance:
    name = "binance"

    def __init__(self, client: HttpClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._markets = Markets(self._names, _candidates, clock)

    async def fetch(self, pairs: Sequence[Pair]) -> list[Rate]:
        markets = await self._markets.of(pairs)
        if not markets:
            return []
        names = json.dumps(list(markets), separators=(",", ":"))
        answer = await self._client.get(PATH, {"symbols": names})
        if answer.status == 400:  # {"code": -1121, "msg": "Invalid symbol."}, of a market that closed
            self._markets.forget()
        tickers = {ticker.symbol: ticker for ticker in answer.decoded(list[_Ticker])}
        found = [_rate(market, tickers[name]) for name, market in markets.items() if name in tickers]
        return [rate for rate in found if rate is not None]

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _names(self) -> Collection[str]:
        answer = await self._client.get(NAMES_PATH)
        return {entry.symbol for entry in answer.decoded(list[_Name])}


def _candidates(pair: Pair) -> Iterable[tuple[str, Market]]:
    base, quote = pair[0].upper(), pair[1]
    if quote == "USD":
        yield f"{base}USDT", Market((pair[0], "USDT"))
        return
    yield f"{base}{quote}", Market(pair)
    yield f"{quote}{base}", Market(pair, is_inverse=True)


def _rate(market: Market, ticker: _Ticker) -> Rate | None:
    price = middle(ticker.bid, ticker.ask)
    if price is None:
        return None
    if not 0 <= ticker.closed_ms <= MILLISECONDS_MAX:
        raise SourceFailed("a time that is none")
    at = datetime.fromtimestamp(ticker.closed_ms // 1000, UTC)
    return Rate(*market.pair, inverse(price) if market.is_inverse else price, at, Binance.name)
