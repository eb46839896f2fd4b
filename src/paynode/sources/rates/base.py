"""The RateSource Protocol: all that the node needs of somebody who knows prices."""

from collections.abc import Sequence
from typing import Protocol

from paynode.domain.quote import Rate

Pair = tuple[str, str]  # a coin's symbol, lower case; a currency, upper case


class RateSource(Protocol):
    @property
    def name(self) -> str: ...

    async def fetch(self, pairs: Sequence[Pair]) -> list[Rate]:
        """What this source says of `pairs` now; a pair it does not know is left out.

        What it says is not judged yet: a price may be absurd or old. Where it has no market in dollars it may answer
        in tether (`Rate.quote` is "USDT"), to be told in dollars by whoever knows what tether costs.

        Raises:
            SourceFailed: it said nothing at all.
        """
        ...

    async def aclose(self) -> None: ...
