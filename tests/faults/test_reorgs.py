"""Reorganisations on a real chain: facts change, judging again gives the answer, and nothing is ever counted twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import trio
from tests.faults.test_spine import address, blocks, until_told
from tests.lab.anvil import anvil
from tests.lab.books import assert_audited, assert_books_match_chain
from tests.lab.client import Deployed, Lab, call_data
from tests.lab.node import Node, gas_address, node
from tests.lab.receiver import Receiver

USDT = 10**6


@asynccontextmanager
async def shop_on_chain(folder: Path, *, gas_units: int = 10**18) -> AsyncIterator[tuple[Node, Lab, Deployed]]:
    """A node on a chain that makes blocks only when told to, and its token."""
    async with anvil() as lab, trio.open_nursery() as nursery:
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt = await lab.deploy("TetherLike")
        await lab.mine(10)
        async with node(folder, lab, receiver, {"usdt": (usdt, 6)}, gas_units=gas_units) as shop:
            yield shop, lab, usdt
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def never_more_than(shop: Node, invoice: dict[str, Any], value: str) -> AsyncIterator[None]:
    """Ask the API all the while: it never says that more was paid."""

    async def ask() -> None:
        while True:
            try:
                seen = await shop.seen(invoice)
            except httpx.TransportError:
                continue
            assert Decimal(seen["amount_paid"]) <= Decimal(value), seen
            standing = [deposit for deposit in seen["deposits"] if deposit["state"] != "orphaned"]
            assert sum(int(deposit["amount_units"]) for deposit in standing) <= Decimal(value) * USDT, seen
            await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        yield
        nursery.cancel_scope.cancel()


async def mine_until(shop: Node, lab: Lab, invoice: dict[str, Any], **fields: Any) -> None:
    """Let the chain go on until the invoice's fields have these values."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(blocks, lab)
        await shop.until_invoice(invoice, **fields)
        nursery.cancel_scope.cancel()


async def test_a_detected_payment_that_is_reorged_out_counts_no_more_and_can_be_paid_again(tmp_path: Path) -> None:
    async with shop_on_chain(tmp_path) as (shop, lab, usdt):
        invoice = await shop.invoice("20", "eth_usdt")
        async with never_more_than(shop, invoice, "20"):
            await lab.transfer(usdt, address(invoice), 20 * USDT)
            await shop.until_invoice(invoice, status="confirming")
            await lab.reorg(1)
            await lab.mine(1)
            gone = await shop.until_invoice(invoice, status="open", payment_state="none")
            assert [deposit["state"] for deposit in gone["deposits"]] == ["orphaned"]
            await lab.transfer(usdt, address(invoice), 20 * USDT)
            await lab.mine(3)
            await shop.until_invoice(invoice, status="paid", payment_state="exact")
        await until_told(shop, invoice, "invoice.paid")
        await shop.until_told("deposit.orphaned")
        assert_audited(shop)


async def test_the_same_transaction_in_another_block_under_another_log_index_is_one_payment(tmp_path: Path) -> None:
    async with shop_on_chain(tmp_path) as (shop, lab, usdt):
        invoice, other = await shop.invoice("20", "eth_usdt"), await shop.invoice("3", "eth_usdt")
        payer = lab.accounts[1]
        await lab.transfer(usdt, payer, 100 * USDT)
        async with never_more_than(shop, invoice, "20"):
            paid = await lab.transfer(usdt, address(invoice), 20 * USDT, sender=payer)
            first = await shop.until_invoice(invoice, status="confirming")
            raw = await lab.rpc("eth_getRawTransactionByHash", paid["transactionHash"])
            # A payment of somebody else comes first in the new block, so ours moves behind it.
            ahead = {
                "from": lab.faucet,
                "to": usdt.address,
                "data": call_data(usdt.compiled, "transfer", [address(other), 3 * USDT]),
                "gas": hex(200_000),
            }
            await lab.reorg(1, [(ahead, 0), (raw, 0)])
            again = await lab.receipt(paid["transactionHash"])
            assert again["blockHash"] != paid["blockHash"]
            assert again["logs"][0]["logIndex"] != paid["logs"][0]["logIndex"]
            await lab.mine(3)
            seen = await shop.until_invoice(invoice, status="paid", payment_state="exact")
            await shop.until_invoice(other, status="paid")
        states = {deposit["id"]: deposit for deposit in seen["deposits"]}
        (before,) = (states[deposit["id"]] for deposit in first["deposits"])
        (after,) = (deposit for deposit in seen["deposits"] if deposit["id"] != before["id"])
        assert (before["state"], after["state"], after["replaces"]) == ("orphaned", "settled", before["id"])
        assert after["log_index"] != before["log_index"]
        assert_audited(shop)


async def test_a_paid_invoice_that_is_reversed_pauses_outflows_and_can_be_paid_again(tmp_path: Path) -> None:
    async with shop_on_chain(tmp_path, gas_units=0) as (shop, lab, usdt):  # so nothing is swept before
        shop.node_key = shop.paynode("keys", "create", "--node").split()[-1]
        invoice = await shop.invoice("20", "eth_usdt")
        async with never_more_than(shop, invoice, "20"):
            await lab.transfer(usdt, address(invoice), 20 * USDT)
            await lab.mine(4)
            await shop.until_invoice(invoice, status="paid")
            await lab.reorg(5)
            await mine_until(shop, lab, invoice, status="reversed", payment_state="none")
            await until_told(shop, invoice, "invoice.reversed")
            state = await shop.get("/v1/node", key=shop.node_key)
            assert state["outflows"]["paused"] is True
            await lab.transfer(usdt, address(invoice), 20 * USDT)
            await lab.mine(4)
            await shop.until_invoice(invoice, status="paid", payment_state="exact")
        assert_audited(shop)
        await lab.send_native(gas_address(), 10**18)

        async def is_held() -> bool:
            return bool((await shop.seen(invoice))["deposits"][-1]["sweep_wait"] == "outflows_paused")

        await shop.until(is_held, "the deposit says that it waits for the pause to end")
        await shop.post("/v1/outflows/resume", key=shop.node_key)
        await mine_until(shop, lab, invoice, sweep_state="swept")
        await assert_books_match_chain(shop, lab, {"eth_usdt": usdt})
