"""Coinbase's public API. https://docs.cdp.coinbase.com/coinbase-app/track-apis/exchange-rates

One question per coin; the answer has its price in every currency. It bears no time: it is as old as the answer.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from paynode.domain.quote import Rate
from paynode.sources.http import HttpClient, SourceFailed
from paynode.sources.rates.base import Pair

PATH = "/v2/exchange-rates"


class _Rates(msgspec.Struct):
    currency: str
    rates: dict[str, str]  # of six hundred currencies, a few of which are none of ours to read


class _Reply(msgspec.Struct):
    data: _Rates


class Coinbase:
    name = "coinbase"

    def __init__(self, client: HttpClient, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._clock = clock

    async def fetch(self, pairs: Sequence[Pair]) -> list[Rate]:
        found: list[Rate] = []
        for base in dict.fromkeys(base for base, _ in pairs):
            found += await self._of(base, [quote for other, quote in pairs if other == base])
        return found

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _of(self, base: str, quotes: Sequence[str]) -> list[Rate]:
        answer = await self._client.get(PATH, {"currency": base.upper()})
        if answer.status in (400, 404):  # it does not know the coin
            return []
        said = answer.decoded(_Reply).data
        if said.currency != base.upper():
            raise SourceFailed("an answer about another coin")
        at = self._clock() - answer.age
        prices = {quote: said.rates[quote] for quote in quotes if quote in said.rates}
        return [Rate(base, quote, _decimal(text), at, self.name) for quote, text in prices.items()]


def _decimal(text: str) -> Decimal:
    try:
        return msgspec.convert(text, Decimal)
    except msgspec.ValidationError:
        raise SourceFailed("a price that is no number") from None
