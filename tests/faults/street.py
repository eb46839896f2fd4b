"""A shop whose first provider is the proxy, on a chain with customers who pay in tokens and in coins by turns.

`PAYNODE_CHAOS_SEED` repeats a run, or makes another.
"""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from tests.faults.chaosproxy import ChaosProxy, chaos
from tests.faults.checker import assert_all_is_well
from tests.faults.test_spine import address, blocks
from tests.lab.anvil import anvil
from tests.lab.client import Deployed, Lab
from tests.lab.node import WAIT_SECONDS, Node, node
from tests.lab.receiver import Receiver

USDT, COIN = 10**6, 10**18
SEED = int(os.environ.get("PAYNODE_CHAOS_SEED", "1"))
PAUSE_SECONDS = 1.0  # between two customers
LOOKS = 3


@dataclass
class Street:
    """A shop behind a proxy, on a chain with customers."""

    lab: Lab
    usdt: Deployed
    payer: Deployed  # a contract that sends coins, so that no transaction of the block names their recipient
    proxy: ChaosProxy
    shop: Node
    nursery: trio.Nursery
    invoices: list[dict[str, Any]] = field(default_factory=list)
    paid_by_invoice: dict[str, int] = field(default_factory=dict)

    async def open(self, count: int, **more: Any) -> None:
        """So many invoices of 20 USD each, in tokens and in coins by turns."""
        for number in range(count):
            invoice = await self.shop.invoice("20", "eth_eth" if number % 3 else "eth_usdt", **more)
            self.invoices.append(invoice)
            self.paid_by_invoice[invoice["id"]] = 20 * USDT if number % 3 == 0 else COIN // 100

    async def pay(self, number: int) -> None:
        to = address(self.invoices[number])
        if number % 3 == 0:
            await self.lab.transfer(self.usdt, to, 20 * USDT)
        elif number % 3 == 1:
            await self.lab.send_native(to, COIN // 100)
        else:
            await self.lab.invoke(self.payer, "pay", to, value=COIN // 100)

    async def pay_all(self) -> None:
        """One customer after the other."""
        for number in range(len(self.invoices)):
            await self.pay(number)
            await trio.sleep(PAUSE_SECONDS)

    async def until_looked(self, times: int = LOOKS) -> None:
        """Until the node has asked for the newest block so often from now on."""
        since = trio.current_time()

        async def has_looked() -> bool:
            asked = [entry for entry in self.proxy.calls_since(since) if entry.method == "eth_getBlockByNumber"]
            return len([entry for entry in asked if entry.params[0] == "latest"]) >= times

        await self.shop.until(has_looked, "the node looks at its chain")

    def proxy_sent(self) -> int:
        return sum(entry.method == "eth_sendRawTransaction" for entry in self.proxy.history)

    async def assert_all_is_well(self) -> None:
        for invoice in self.invoices:
            await self.shop.until_invoice(invoice, status="paid", payment_state="exact")
        await self.assert_books_are_true()

    async def assert_books_are_true(self, *, quiet_seconds: float = WAIT_SECONDS) -> None:
        tokens = {"eth_usdt": self.usdt, "eth_eth": None}
        await assert_all_is_well(self.shop, self.lab, tokens, quiet_seconds=quiet_seconds)


@asynccontextmanager
async def street(
    folder: Path,
    *,
    others: Sequence[str] = (),
    goes_on: bool = True,
    timestamp: int | None = None,
    network: str = "",
    states: int | None = None,
) -> AsyncIterator[Street]:
    """A node whose first provider is the proxy; `others` come after it. The chain makes blocks if it `goes_on`.

    Two chains with the same `timestamp` have the same first block, and are two forks of one network.
    `network` are more settings of the node's network. The chain keeps its newest `states`, by default about 4,100.
    """
    more = () if states is None else ("--max-persisted-states", str(states))
    async with (
        anvil(timestamp=timestamp, more=more) as lab,
        chaos(lab, seed=SEED) as proxy,
        trio.open_nursery() as nursery,
    ):
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt, usdc, payer = [await lab.deploy(*what) for what in (("TetherLike",), ("Standard", 6), ("Payer",))]
        await lab.mine(5)
        if goes_on:
            nursery.start_soon(blocks, lab)
        tokens, rpc = {"usdt": (usdt, 6), "usdc": (usdc, 6)}, [proxy.url, *others]
        async with node(folder, lab, receiver, tokens, rpc=rpc, network=network) as shop:
            yield Street(lab, usdt, payer, proxy, shop, nursery)
        nursery.cancel_scope.cancel()
