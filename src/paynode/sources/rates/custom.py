"""A URL of the merchant's own: it answers for one pair with a number, or with an object that has it as `price`.

    https://rates.example/v1/{base}/{quote}  ->  3000.12
                                                 "3000.12"
                                                 {"price": "3000.12", "at": "2026-01-01T00:00:00Z"}

Without `at` a price is as old as the answer. 404 means that it does not know the pair.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from paynode.domain.quote import Rate
from paynode.sources.http import HttpClient, SourceFailed
from paynode.sources.rates.base import Pair


class _Priced(msgspec.Struct):
    price: Decimal
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Custom:
    def __init__(self, name: str, client: HttpClient, url: str, clock: Callable[[], datetime]) -> None:
        self.name = name
        self._client = client
        self._url = url
        self._clock = clock

    async def fetch(self, pairs: Sequence[Pair]) -> list[Rate]:
        """What it says; a pair that it fails at is left out, unless nothing is left."""
        found: list[Rate] = []
        refusal: SourceFailed | None = None
        for pair in pairs:
            answer = await self._client.get(self._url.replace("{base}", pair[0]).replace("{quote}", pair[1]))
            if answer.status == 404:  # it does not know the pair
                continue
            try:
                said: Decimal | _Priced = answer.decoded(Decimal | _Priced)  # type: ignore[arg-type]  # a union is no type
            except SourceFailed as failure:
                refusal = failure
                continue
            priced = said if isinstance(said, _Priced) else _Priced(said)
            found.append(Rate(*pair, priced.price, priced.at or self._clock() - answer.age, self.name))
        if refusal is not None and not found:
            raise refusal
        return found

    async def aclose(self) -> None:
        await self._client.aclose()
