"""How far back a provider still knows balances, and many of them read at once. I/O.

Nodes throw old states away, each at an age of its own: full ones at 128 blocks, others at days. The oldest state that
is left is found by a bisect of ages, once a tick and for all addresses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from paynode.chains.evm.reads import Pruned, Reads

FULL_NODE_BLOCKS = 96  # full nodes keep the state of 128 blocks; a margin for the time a search takes
Ask = tuple[str, int]  # an address and a height


@dataclass(slots=True)
class States:
    """The states of `source` up to `head`."""

    source: Reads
    head: int
    gone_to: int = -1  # the newest that is known to be gone
    read_from: int | None = None  # the oldest that was read; None: none but the head's

    @property
    def oldest(self) -> int:
        """The oldest height that can be read, as far as is known."""
        return self.head if self.read_from is None else self.read_from

    async def balances(self, asks: Sequence[Ask]) -> list[int | None]:
        """The native balances of (address, height); None: that state is gone."""
        units_by_ask = await self._read(asks)
        return [units_by_ask.get(ask) for ask in asks]

    async def measure(self, address: str) -> None:
        """Find the oldest state that can be read, to a fifth of its age."""
        while (height := self._unsure()) is not None:
            await self._read([(address, height)])

    def _unsure(self) -> int | None:
        """The height that tells most about where the states begin; None: near enough."""
        readable, gone = self.head - self.oldest + 1, self.head - self.gone_to + 1  # ages, the head's is 1
        if gone * 4 <= readable * 5 or gone - readable <= 1:
            return None
        if readable == 1 and gone > FULL_NODE_BLOCKS + 1:
            return self.head - FULL_NODE_BLOCKS
        return self.head + 1 - min(max(isqrt(readable * gone), readable + 1), gone - 1)

    async def _read(self, asks: Sequence[Ask]) -> dict[Ask, int]:
        """What can be read of `asks`. One that is gone spoils its batch: the newest are tried first, and alone."""
        asks = [(address, height) for address, height in asks if height > self.gone_to]
        if not asks:
            return {}
        heights = sorted({height for _, height in asks})
        try:
            units = await self.source.balances(asks, self.head)
        except Pruned:
            if len(heights) == 1:
                self._lose(heights[0])
                return {}
            middle = heights[len(heights) // 2]
            newer = await self._read([ask for ask in asks if ask[1] >= middle])
            return newer | await self._read([ask for ask in asks if ask[1] < middle])
        self.read_from = min(self.oldest, heights[0])
        return dict(zip(asks, units, strict=True))

    def _lose(self, height: int) -> None:
        self.gone_to = height
        if self.oldest <= height:  # it was thrown away meanwhile
            self.read_from = None
