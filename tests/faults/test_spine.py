"""From an invoice over HTTP to money in the treasury, on a real chain, with the daemon as a process of its own.

Nothing is asserted to be absent by waiting: payments to other invoices in later blocks are the canaries. Once they are
credited, the scanner has passed the block in question.
"""

from pathlib import Path
from typing import Any

import trio
from tests.lab.anvil import anvil
from tests.lab.books import assert_books_match_chain
from tests.lab.client import Deployed, Lab
from tests.lab.node import Node, node
from tests.lab.receiver import Receiver

USDT, WIDE, COIN = 10**6, 10**18, 10**18
BLOCK_SECONDS = 0.3


async def test_every_kind_of_payment_reaches_the_treasury_and_the_books(tmp_path: Path) -> None:
    async with anvil() as lab, trio.open_nursery() as nursery:
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt, wide = await lab.deploy("TetherLike"), await lab.deploy("Standard", 18)
        fake, batch = await lab.deploy("FakeToken"), await lab.deploy("Batch")
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6), "wide": (wide, 18)}) as shop:
            exact = await shop.invoice("49.90", "eth_usdt", order_id="exact")
            parts = await shop.invoice("10", "eth_wide")
            coins = await shop.invoice("100", "eth_eth")
            over = await shop.invoice("5", "eth_usdt")
            wrong = await shop.invoice("7", "eth_usdt")
            faked = await shop.invoice("8", "eth_usdt")
            batched = [await shop.invoice("3", "eth_usdt") for _ in range(3)]
            twice = await shop.invoice("6", "eth_usdt")

            await lab.transfer(usdt, address(exact), 49_900_000)
            await lab.transfer(wide, address(parts), 4 * WIDE)
            await lab.send_native(address(coins), COIN // 20)
            await lab.transfer(usdt, address(over), 9 * USDT)
            await lab.transfer(wide, address(wrong), 7 * WIDE)
            await lab.invoke(fake, "spoof", lab.faucet, address(faked), 8 * USDT)
            payments = [(address(invoice), 3 * USDT) for invoice in (*batched, twice, twice)]
            await lab.pay_many(batch, usdt, payments)
            await shop.until_invoice(parts, payment_state="partial")
            await lab.transfer(wide, address(parts), 6 * WIDE)
            nursery.start_soon(blocks, lab)

            for invoice in (exact, parts, coins, *batched, twice):
                await shop.until_invoice(invoice, status="paid", payment_state="exact")
            overpaid = await shop.until_invoice(over, status="paid", payment_state="over")
            assert overpaid["amount_overpaid"] == "4.00"
            assert len((await shop.seen(twice))["deposits"]) == 2
            assert len((await shop.seen(parts))["deposits"]) == 2
            for invoice in (wrong, faked):
                seen = await shop.seen(invoice)
                assert (seen["status"], seen["payment_state"], seen["deposits"]) == ("open", "none", [])
            stray = [found for found in (await shop.get("/v1/deposits"))["data"] if found["invoice"] is None]
            assert [(d["method"], d["amount"], d["address"]) for d in stray] == [("eth_wide", "7", address(wrong))]

            for invoice in (exact, parts, coins, over, twice, *batched):
                await shop.until_invoice(invoice, sweep_state="swept")
            await until_told(shop, exact, "invoice.paid")
            assert shop.event_types(exact) == [
                "invoice.created",
                "invoice.deposit_detected",
                "invoice.confirming",
                "invoice.deposit_confirmed",
                "invoice.paid",
            ]
            assert "invoice.overpaid" in shop.event_types(over)
            for invoice in (exact, parts, coins, over, twice):
                sequences = [event["sequence"] for event in shop.events(invoice)]
                assert sequences == list(range(1, len(sequences) + 1)), "an invoice's events have no gap"

            await pay_late(shop, lab, usdt)
            await until_quiet(shop)
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_wide": wide, "eth_eth": None})
        nursery.cancel_scope.cancel()


async def pay_late(shop: Node, lab: Lab, usdt: Deployed) -> None:
    """A payment after the deadline: recorded, announced, swept; the invoice stays expired until it is accepted."""
    late = await shop.invoice("11", "eth_usdt", expires_in=60)
    await lab.rpc("evm_increaseTime", 120)
    await shop.until_invoice(late, status="expired")
    await lab.transfer(usdt, address(late), 11 * USDT)
    seen = await shop.until_invoice(late, late=True, payment_state="exact", sweep_state="swept")
    assert seen["status"] == "expired"
    await until_told(shop, late, "invoice.paid_late")
    accepted = await shop.post(f"/v1/invoices/{late['id']}/accept")
    assert accepted["status"] == "paid"


def address(invoice: dict[str, Any]) -> str:
    return str(invoice["methods"][0]["address"])


async def blocks(lab: Lab, still: trio.Lock | None = None) -> None:
    """The chain goes on, as chains do; who holds the lock makes it stand still."""
    lock = still or trio.Lock()
    while True:
        await trio.sleep(BLOCK_SECONDS)
        async with lock:
            await lab.mine()


async def until_told(shop: Node, invoice: dict[str, Any], kind: str) -> None:
    async def is_told() -> bool:
        return kind in shop.event_types(invoice)

    await shop.until(is_told, f"a webhook {kind}")


async def until_quiet(shop: Node) -> None:
    """No sweep is under way, and nothing waits for one."""

    async def is_quiet() -> bool:
        sweeps = (await shop.get("/v1/sweeps?limit=100"))["data"]
        deposits = (await shop.get("/v1/deposits?limit=100"))["data"]
        is_swept = all(d["sweep_state"] == "swept" for d in deposits if d["state"] != "orphaned")
        return is_swept and all(sweep["state"] == "completed" for sweep in sweeps)

    await shop.until(is_quiet, "everything is swept")
