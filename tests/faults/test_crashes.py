"""kill -9 around every commit and every send: nothing is lost, nothing happens twice, the books balance.

The node kills itself at the n-th point it passes (`PAYNODE_CRASH_AT`), and is started again. The customer and the
merchant go on as real ones do: the customer pays once, the merchant asks again under the same Idempotency-Key.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from tests.faults.test_spine import address, blocks
from tests.lab.anvil import anvil
from tests.lab.books import assert_audited, assert_books_match_chain
from tests.lab.client import Deployed, Lab
from tests.lab.node import Node, node
from tests.lab.receiver import Receiver

USDT, COIN = 10**6, 10**18
JOURNEY_SECONDS = 180.0
POINTS_MAX = 600  # a whole journey passes fewer
STORY = [
    "invoice.created",
    "invoice.deposit_detected",
    "invoice.confirming",
    "invoice.deposit_confirmed",
    "invoice.paid",
]


async def test_a_node_that_dies_again_and_again_still_does_everything_once(tmp_path: Path) -> None:
    """Each start lives a few points longer than the one before, so the deaths fall all over the journeys."""
    async with shop_on_chain(tmp_path) as (shop, lab, usdt, _):
        shop.stop()
        deaths, journeys = 0, []
        for number in range(4):
            journeys.append(Journey(shop, lab, usdt, f"order-{number}", "eth_usdt" if number % 2 else "eth_eth"))
        for journey in journeys:
            while not journey.is_over:
                shop.launch(PAYNODE_CRASH_AT=str(3 + deaths * 3))
                await journey.go_on_until_death()
                deaths += not shop.is_running
                if shop.is_running:
                    shop.kill()
        assert deaths >= 5, f"only {deaths} deaths: the test shows little"
        await shop.start()
        for journey in journeys:
            await journey.assert_done_once()
        await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})


@pytest.mark.soak
@pytest.mark.parametrize("method", ["eth_usdt", "eth_eth"])
async def test_a_death_at_any_single_point_of_a_journey_changes_nothing(tmp_path: Path, method: str) -> None:
    """One journey for each point, from the same beginning, until one passes without dying."""
    async with shop_on_chain(tmp_path) as (shop, lab, usdt, still):
        shop.stop()
        beginning = tmp_path / "beginning"
        shutil.copytree(tmp_path / "data", beginning)
        for point in range(1, POINTS_MAX):
            async with still:
                before = await lab.snapshot()
            shutil.rmtree(tmp_path / "data")
            shutil.copytree(beginning, tmp_path / "data")
            shop.receiver.hooks.clear()
            journey = Journey(shop, lab, usdt, "order", method)
            shop.launch(PAYNODE_CRASH_AT=str(point))
            await journey.go_on_until_death()
            has_died = not shop.is_running
            if not has_died:
                shop.kill()
            await shop.start()
            await journey.go_on_until_death()
            await journey.assert_done_once()
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})
            shop.kill()
            async with still:
                await lab.revert(before)
            if not has_died:
                print(f"{method}: {point - 1} points")
                await shop.start()
                return
        raise AssertionError(f"more than {POINTS_MAX} points")


class Journey:
    """One order from its invoice to the treasury, taken up again after every death of the node."""

    def __init__(self, shop: Node, lab: Lab, usdt: Deployed, order_id: str, method: str) -> None:
        self._shop, self._lab, self._usdt = shop, lab, usdt
        self._order_id, self._method = order_id, method
        self._invoice: dict[str, Any] | None = None
        self._has_paid = False
        self.is_over = False

    async def go_on_until_death(self) -> None:
        """Do what is next until the order is swept, or the node dies."""
        with trio.fail_after(JOURNEY_SECONDS):
            while self._shop.is_running and not self.is_over:
                with suppress(httpx.TransportError):  # it is starting, or dying
                    await self._step()
                await trio.sleep(0.05)

    async def _step(self) -> None:
        if self._invoice is None:
            body = {"amount": "20", "currency": "USD", "methods": [self._method], "provision": True}
            body["order_id"] = self._order_id
            self._invoice = await self._shop.post("/v1/invoices", body, named=self._order_id)
        if not self._has_paid:
            self._has_paid = True
            to = address(self._invoice)
            if self._method == "eth_usdt":
                await self._lab.transfer(self._usdt, to, 20 * USDT)
            else:
                await self._lab.send_native(to, COIN // 100)
        seen = await self._shop.seen(self._invoice)
        self.is_over = seen["sweep_state"] == "swept"

    async def assert_done_once(self) -> None:
        """One invoice, one deposit, one transaction out, every event told."""
        assert self._invoice is not None
        listed = (await self._shop.get(f"/v1/invoices?order_id={self._order_id}"))["data"]
        assert [found["id"] for found in listed] == [self._invoice["id"]], "one order, one invoice"
        (seen,) = listed
        assert (seen["status"], seen["payment_state"], seen["sweep_state"]) == ("paid", "exact", "swept")
        assert len(seen["deposits"]) == 1
        nonce = await self._lab.rpc("eth_getTransactionCount", address(seen), "latest")
        assert int(nonce, 16) == 1, "one transaction left the address"

        async def is_told() -> bool:
            return self._shop.event_types(seen) == STORY

        await self._shop.until(is_told, f"the webhooks of {seen['id']}: {STORY}")


@asynccontextmanager
async def shop_on_chain(folder: Path) -> AsyncIterator[tuple[Node, Lab, Deployed, trio.Lock]]:
    """A node on a chain that goes on by itself, its token, and the lock under which the chain stands still."""
    still = trio.Lock()
    async with anvil() as lab, trio.open_nursery() as nursery:
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt = await lab.deploy("TetherLike")
        await lab.mine(5)
        nursery.start_soon(blocks, lab, still)
        async with node(folder, lab, receiver, {"usdt": (usdt, 6)}) as shop:
            yield shop, lab, usdt, still
            assert_audited(shop)
        nursery.cancel_scope.cancel()
