"""A shop on a chain with odd tokens and odd customers, behind a provider with the limits of a free tier.

The canary rule: nothing is asserted to be absent by waiting. `Town.passed` pays a canary in a later block; once it is
paid, the node has gone past all that came before it.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from tests.faults.chaosproxy import ChaosProxy, Fault, Rule, chaos
from tests.faults.test_spine import address, blocks
from tests.lab.anvil import anvil
from tests.lab.client import Deployed, Lab
from tests.lab.node import Node, node
from tests.lab.receiver import Receiver

USDT, COIN = 10**6, 10**18  # one of each
COIN_USD = 2000
FREE_TIER = (Rule(Fault.RANGE_CAP, value=500), Rule(Fault.RESULT_CAP, value=1000))

Json = dict[str, Any]
TOKENS: Mapping[str, tuple[str, int]] = {  # by symbol: the contract and its decimals
    "usdt": ("TetherLike", 6),  # no return values
    "shy": ("FalseTopUp", 18),
    "permit": ("Permitted", 6),
    "whole": ("Standard", 0),
    "fine": ("Standard", 24),
}


@dataclass
class Town:
    """The chain, the shop, and the provider between them; `tokens` by symbol."""

    lab: Lab
    proxy: ChaosProxy
    shop: Node
    tokens: Mapping[str, Deployed]

    @property
    def usdt(self) -> Deployed:
        return self.tokens["usdt"]

    async def passed(self) -> None:
        """Until the node has gone past the newest block."""
        canary = await self.shop.invoice("1", "eth_usdt")
        await self.lab.transfer(self.usdt, address(canary), USDT)
        await self.shop.until_invoice(canary, status="paid")

    async def assert_unpaid(self, *invoices: Json) -> None:
        """Nothing was credited to them; ask after `passed`."""
        for invoice in invoices:
            seen = await self.shop.seen(invoice)
            assert (seen["status"], seen["payment_state"], seen["deposits"]) == ("open", "none", []), seen

    async def until_paid(self, invoice: Json, payment_state: str = "exact") -> list[Json]:
        """The deposits of an invoice, once it is paid."""
        seen = await self.shop.until_invoice(invoice, status="paid", payment_state=payment_state)
        found: list[Json] = seen["deposits"]
        return found


@asynccontextmanager
async def town(
    folder: Path, listed: Mapping[str, tuple[str, int]] = TOKENS, *, sweep: str = 'every = "1s"'
) -> AsyncIterator[Town]:
    """A node with the `listed` tokens; its first provider has a free tier's limits, the second has none."""
    async with anvil() as lab, chaos(lab, seed=1) as proxy, trio.open_nursery() as nursery:
        proxy.rules = FREE_TIER
        receiver = Receiver()
        await receiver.listen(nursery)
        tokens: dict[str, Deployed] = {}
        for symbol, (contract, decimals) in listed.items():
            arguments = [decimals] if contract == "Standard" else []
            tokens[symbol] = await lab.deploy(contract, *arguments)
        known = {symbol: (tokens[symbol], decimals) for symbol, (_, decimals) in listed.items()}
        nursery.start_soon(blocks, lab)
        async with node(folder, lab, receiver, known, rpc=[proxy.url, lab.url], sweep=sweep) as shop:
            yield Town(lab, proxy, shop, tokens)
        nursery.cancel_scope.cancel()
