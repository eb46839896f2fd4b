"""Kraken's public API. https://docs.kraken.com/api/docs/rest-api/get-ticker-information

It names its older markets by codes of its own (XETHZUSD, USDTZUSD) and the newer ones plainly (SOLUSD). Its prices
bear no time: they are as old as the answer.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from paynode.domain.quote import Rate
from paynode.domain.rates import middle
from paynode.sources.http import HttpClient, SourceFailed
from paynode.sources.rates.base import Pair
from paynode.sources.rates.markets import Market, Markets

PATH = "/0/public/Ticker"
CODES = {"btc": "XBT", "doge": "XDG"}


class _Ticker(msgspec.Struct):
    a: tuple[Decimal, ...]  # the best ask: price, and how much is offered at it
    b: tuple[Decimal, ...]  # the best bid


class _Reply(msgspec.Struct):
    error: list[str]
    result: dict[str, _Ticker] = {}


class Kraken:
    name = "kraken"

    def __init__(self, client: HttpClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock
        self._markets = Markets(self._names, _candidates, clock)

    async def fetch(self, pairs: Sequence[Pair]) -> list[Rate]:
        markets = await self._markets.of(pairs)
        if not markets:
            return []
        tickers, at = await self._tickers({"pair": ",".join(markets)})
        prices = {name: _price(ticker) for name, ticker in tickers.items()}
        return [
            Rate(*market.pair, price, at, self.name)
            for name, market in markets.items()
            if (price := prices.get(name)) is not None
        ]

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _names(self) -> Collection[str]:
        tickers, _ = await self._tickers({})  # without a pair it tells of all
        return tickers.keys()

    async def _tickers(self, query: Mapping[str, str]) -> tuple[Mapping[str, _Ticker], datetime]:
        """What it says, by market, and when it said so."""
        answer = await self._client.get(PATH, query)
        reply = answer.decoded(_Reply)
        if reply.error:  # such as ["EQuery:Unknown asset pair"], of a market that closed
            self._markets.forget()
            raise SourceFailed(f"refused: {reply.error[0][:60]!a}")
        return reply.result, self._clock() - answer.age


def _candidates(pair: Pair) -> Iterable[tuple[str, Market]]:
    base, quote = CODES.get(pair[0], pair[0].upper()), pair[1]
    for name in (f"{base}{quote}", f"X{base}Z{quote}", f"{base}Z{quote}", f"X{base}{quote}"):
        yield name, Market(pair)


def _price(ticker: _Ticker) -> Decimal | None:
    return middle(ticker.b[0], ticker.a[0]) if ticker.a and ticker.b else None
