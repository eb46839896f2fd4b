"""Time (I26): on time is a chain fact, whatever our own clock says and however long we were away.

A node whose clock jumps, that is stopped in the middle, or that was down all the while judges as one that was up.
"""

import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from tests.faults.test_spine import address, blocks
from tests.lab.anvil import anvil
from tests.lab.books import assert_audited
from tests.lab.client import Deployed, Lab
from tests.lab.node import MNEMONIC, Node, node
from tests.lab.receiver import Receiver

from paynode.config import Secret
from paynode.seed import Seed

USDT = 10**6
MINUTE, HOUR, DAY = 60, 3600, 86400

# The daemon on a machine whose clock is ahead of the true one by what a file says.
WRONG_CLOCK = """
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from paynode import daemon
ahead = Path({ahead!r})
clock = lambda: datetime.now(UTC) + timedelta(seconds=int(ahead.read_text()))
daemon.serve = partial(daemon.serve, clock=clock)
from paynode.__main__ import main
main()
"""


@dataclass
class Shop:
    """A node whose clock the test sets, and its chain."""

    node: Node
    lab: Lab
    usdt: Deployed
    ahead: Path

    def set_clock(self, seconds_ahead: int) -> None:
        written = self.ahead.with_suffix(".new")
        written.write_text(str(seconds_ahead))
        written.replace(self.ahead)

    async def pay(self, invoice: dict[str, Any], dollars: int) -> None:
        await self.lab.transfer(self.usdt, address(invoice), dollars * USDT)

    async def passed(self) -> None:
        """Until the node has gone past the newest block, and told of it: a canary is paid in a later one."""
        canary = await self.node.invoice("1", "eth_usdt")
        await self.pay(canary, 1)
        await self.node.until_invoice(canary, status="paid")
        await self.until_told(canary, "invoice.paid")

    async def until_told(self, invoice: dict[str, Any], kind: str) -> None:
        """Until a webhook came; a receiver whose own clock is right would refuse its timestamp."""

        async def is_told() -> bool:
            bodies = [json.loads(hook.body) for hook in self.node.receiver.hooks_of("/hooks")]
            return (kind, invoice["id"]) in {(body["type"], body["data"]["object"].get("id")) for body in bodies}

        await self.node.until(is_told, f"a webhook {kind}")


@asynccontextmanager
async def shop_with_clock(folder: Path) -> AsyncIterator[Shop]:
    async with anvil() as lab, trio.open_nursery() as nursery:
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt = await lab.deploy("TetherLike")
        nursery.start_soon(blocks, lab)
        async with node(folder, lab, receiver, {"usdt": (usdt, 6)}) as running:
            running.stop()
            shop = Shop(running, lab, usdt, folder / "ahead")
            shop.set_clock(0)
            running.program = ("-c", WRONG_CLOCK.format(ahead=str(shop.ahead)))
            await running.start()
            yield shop
        nursery.cancel_scope.cancel()


async def test_a_clock_that_jumps_expires_nothing_judges_nothing_late_and_stops_no_loop(tmp_path: Path) -> None:
    async with shop_with_clock(tmp_path) as shop:
        patient = await shop.node.invoice("20", "eth_usdt")
        unasked = await shop.node.post("/v1/invoices", {"amount": "20", "currency": "USD", "methods": ["eth_usdt"]})
        before = await shop.node.invoice("20", "eth_usdt")
        for seconds_ahead in (-HOUR, DAY, 0):
            shop.set_clock(seconds_ahead)
            during = await shop.node.invoice("20", "eth_usdt", expires_in=5 * MINUTE)
            await shop.passed()
            for invoice in (patient, unasked, during):
                assert (await shop.node.seen(invoice))["status"] == "open", f"{seconds_ahead} s ahead"
            await shop.pay(before, 5)
            await shop.pay(during, 20)
            paid = await shop.node.until_invoice(during, status="paid", late=False)
            assert [deposit["late"] for deposit in paid["deposits"]] == [False]
            await shop.until_told(during, "invoice.paid")
        await shop.pay(before, 5)
        await shop.node.until_invoice(before, status="paid", late=False, sweep_state="swept")

        await shop.lab.rpc("evm_increaseTime", HOUR)
        await shop.node.until_invoice(patient, status="expired")
        assert (await shop.node.seen(unasked))["status"] == "open", "nobody has asked a chain, and the clock is right"
        shop.set_clock(HOUR)
        await shop.node.until_invoice(unasked, status="expired")
        assert "no_progress" not in shop.node.log
        assert_audited(shop.node)


async def test_a_node_that_is_stopped_in_the_middle_goes_on_and_tells_everything_once(tmp_path: Path) -> None:
    """F15: a virtual machine that pauses. Its clock stands with it; then it is behind the chain, or right again."""
    async with shop_with_clock(tmp_path) as shop:
        invoices = [await shop.node.invoice("20", "eth_usdt", expires_in=15 * MINUTE) for _ in range(6)]
        in_time, late, never = invoices[:3], invoices[3:5], invoices[5]
        assert shop.node.process is not None
        shop.node.process.send_signal(signal.SIGSTOP)
        for invoice in in_time:
            await shop.pay(invoice, 20)
        await shop.lab.rpc("evm_increaseTime", HOUR)
        await shop.lab.mine(3)
        for invoice in late:
            await shop.pay(invoice, 20)
        shop.node.process.send_signal(signal.SIGCONT)
        for invoice in in_time:
            await shop.node.until_invoice(invoice, status="paid", late=False)
        for invoice in late:
            await shop.node.until_invoice(invoice, status="expired", late=True, payment_state="exact")
        await shop.node.until_invoice(never, status="expired", payment_state="none")
        await shop.passed()
        told = Counter(hook.id for hook in shop.node.receiver.hooks_of("/hooks"))
        assert told
        assert set(told.values()) == {1}, "no event was told twice"
        assert_audited(shop.node)


async def test_a_node_that_was_down_judges_as_one_that_was_up(tmp_path: Path) -> None:
    """Method: two nodes of one extended public key issue the same addresses; one misses payments and deadlines."""
    custody = f'mode = "watch"\nxpub.evm = "{Seed(Secret(MNEMONIC)).account_xpub(0)}"'
    async with anvil() as lab, trio.open_nursery() as nursery:
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt = await lab.deploy("TetherLike")
        nursery.start_soon(blocks, lab)
        (tmp_path / "up").mkdir()
        (tmp_path / "down").mkdir()
        listed = {"usdt": (usdt, 6)}
        async with (
            node(tmp_path / "up", lab, receiver, listed, custody=custody, gas_units=0) as up,
            node(tmp_path / "down", lab, receiver, listed, custody=custody, gas_units=0) as down,
        ):
            stories = ("never", "in time", "half in time", "late", "half late", "too much", "before and after")
            deadline = int((await lab.block())["timestamp"], 16) + 10 * MINUTE
            by_story = {
                story: [await shop.invoice("20", "eth_usdt", expires_in=10 * MINUTE) for shop in (up, down)]
                for story in stories
            }
            for first, second in by_story.values():
                assert address(first) == address(second)
            down.stop()

            async def pay(story: str, dollars: int) -> None:
                await lab.transfer(usdt, address(by_story[story][0]), dollars * USDT)

            for story, dollars in (("in time", 20), ("half in time", 10), ("too much", 30), ("half late", 10)):
                await pay(story, dollars)
            await pay("before and after", 15)
            now = int((await lab.block())["timestamp"], 16)
            await lab.rpc("evm_increaseTime", deadline - now + MINUTE)
            await lab.mine(2)
            for story, dollars in (("late", 20), ("half late", 10), ("before and after", 10)):
                await pay(story, dollars)
            await lab.mine(3)
            for first, _ in by_story.values():
                await up.until(lambda first=first: is_over(up, first), "it is judged")
            await down.start()
            for story, (first, second) in by_story.items():
                await down.until(lambda second=second: is_over(down, second), f"{story} is judged")
                assert judged(await down.seen(second)) == judged(await up.seen(first)), story
            statuses = {story: (await up.seen(first))["status"] for story, (first, _) in by_story.items()}
            assert {story for story, status in statuses.items() if status == "paid"} == {"in time", "too much"}
            assert set(statuses.values()) == {"paid", "expired"}
            for shop in (up, down):
                assert_audited(shop)
        nursery.cancel_scope.cancel()


async def is_over(shop: Node, invoice: dict[str, Any]) -> bool:
    """Whether it is closed and every deposit is final."""
    seen = await shop.seen(invoice)
    deposits = [one for one in await shop.all_of("deposits") if one["address"] == address(invoice)]
    is_final = all(one["state"] == "settled" for one in deposits)
    return seen["status"] in ("paid", "expired") and is_final


def judged(invoice: dict[str, Any]) -> dict[str, Any]:
    """All that an invoice says of its payments, without ids and our own moments."""
    said = ("status", "payment_state", "late", "amount_paid", "amount_confirmed", "amount_due", "amount_overpaid")
    evidence = ("amount_units", "block_hash", "tx_hash", "log_index", "value", "late", "block_at", "from")
    deposits = [{name: one[name] for name in evidence} for one in invoice["deposits"]]
    return {**{name: invoice[name] for name in said}, "deposits": deposits}
