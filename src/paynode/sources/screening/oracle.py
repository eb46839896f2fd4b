"""A contract on the network itself that lists addresses, as Chainalysis and others publish them."""

from collections.abc import Awaitable, Callable, Sequence

import trio

from paynode.domain.screening import Finding, Verdict


class Oracle:
    name = "oracle"

    def __init__(self, is_sanctioned: Callable[[str], Awaitable[bool]]) -> None:
        """`is_sanctioned` asks the network's providers."""
        self._is_sanctioned = is_sanctioned

    async def screen(self, network: str, addresses: Sequence[str]) -> Finding:
        for address in addresses:
            if await self._is_sanctioned(address):
                return Finding(Verdict.FLAGGED, self.name, f"{address} is sanctioned, says the oracle on {network}")
        return Finding(Verdict.PASSED, self.name)

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
