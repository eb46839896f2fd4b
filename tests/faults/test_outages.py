"""Providers that are down, wrong, half blind or stuck: money is seen later, never lost and never guessed.

Nothing is asserted to be absent by waiting: what a later look did see is the canary.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from tests.faults.test_spine import address, blocks, until_quiet, until_told
from tests.lab.anvil import anvil
from tests.lab.books import assert_audited, assert_books_match_chain
from tests.lab.client import Deployed, Lab
from tests.lab.node import TEN_MINUTES_AHEAD, TREASURY, Node, node
from tests.lab.receiver import Receiver
from tests.lab.stub import Reply, Stub, in_front_of, result, stub

USDT, COIN = 10**6, 10**18
NOBODY = "http://127.0.0.1:1/"
OTHER_CHAIN_ID = 31338
MINUTE = 60


@asynccontextmanager
async def merchant() -> AsyncIterator[tuple[Lab, Deployed, Receiver, trio.Nursery]]:
    """A chain with a token on it, and somebody to be told."""
    async with anvil() as lab, trio.open_nursery() as nursery:
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt = await lab.deploy("TetherLike")
        await lab.mine(5)
        yield lab, usdt, receiver, nursery
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def faulty(lab: Lab) -> AsyncIterator[Stub]:
    """A provider in front of the chain; `script` is for the test to exchange."""
    async with stub(honest(lab)) as provider:
        yield provider


def honest(lab: Lab) -> Any:
    return in_front_of(lab, lambda call, answer: answer)


async def down(body: Any) -> Reply:
    return Reply(b"<html>Bad Gateway</html>", status=502)


async def test_a_node_starts_without_its_provider_and_recovers_by_itself(tmp_path: Path) -> None:
    async with merchant() as (lab, usdt, receiver, nursery), faulty(lab) as provider:
        provider.script = down
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, rpc=[provider.url], is_blind=True) as shop:
            seen = await shop.until_network("degraded")
            assert "HTTP 502" in seen["reason"]
            status = await shop.client.get(shop.url + "/v1/status")
            assert (status.status_code, status.json()["watching"]) == (200, False)
            body = {"amount": "20", "currency": "USD", "methods": ["eth_usdt"]}
            refused = await shop.client.post(
                shop.url + "/v1/invoices",
                json={**body, "provision": True},
                headers={"Authorization": f"Bearer {shop.key}"},
            )
            assert (refused.status_code, refused.json()["code"]) == (409, "network_not_ready")
            assert "eth has not been reached yet" in refused.json()["detail"]
            assert await shop.listed("invoices") == [], "a refusal leaves nothing behind"

            provider.script = honest(lab)
            await shop.until_network("ok")
            (told,) = await shop.until_told("network.recovered")
            assert told["data"]["object"]["id"] == "eth"
            nursery.start_soon(blocks, lab)
            invoice = await shop.invoice("20", "eth_usdt")
            await lab.transfer(usdt, address(invoice), 20 * USDT)
            await shop.until_invoice(invoice, status="paid", sweep_state="swept")
            await until_quiet(shop)
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})


async def test_behind_a_dead_and_a_wrong_provider_the_third_does_all_the_work(tmp_path: Path) -> None:
    async with merchant() as (lab, usdt, receiver, nursery), anvil(chain_id=OTHER_CHAIN_ID) as wrong:
        nursery.start_soon(blocks, lab)
        urls = [NOBODY, wrong.url, lab.url]
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, rpc=urls) as shop:
            coins, tokens = await shop.invoice("100", "eth_eth"), await shop.invoice("20", "eth_usdt")
            await wrong.send_native(address(coins), COIN)  # on a chain that is none of ours
            await lab.send_native(address(coins), COIN // 20)
            await lab.transfer(usdt, address(tokens), 20 * USDT)
            for invoice in (coins, tokens):
                await shop.until_invoice(invoice, status="paid", payment_state="exact", sweep_state="swept")
            await until_quiet(shop)
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})


async def test_a_provider_that_changes_to_another_chain_is_refused_loudly_and_credits_nothing(tmp_path: Path) -> None:
    async with (
        anvil(chain_id=OTHER_CHAIN_ID) as wrong,
        merchant() as (lab, usdt, receiver, nursery),
        faulty(lab) as provider,
    ):
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, rpc=[provider.url]) as shop:
            invoice = await shop.invoice("100", "eth_eth")
            await wrong.mine(20)
            await wrong.send_native(address(invoice), COIN // 20)
            await wrong.mine(5)
            provider.script = honest(wrong)
            await shop.until(partial(is_degraded_for, shop, f"chain {OTHER_CHAIN_ID}"), "the chain is the wrong one")
            await shop.until_told("network.degraded")
            shop.stop()
            await shop.start_blind()  # so that it does look again
            reason = f"serves chain {OTHER_CHAIN_ID}, not {lab.chain_id}"
            await shop.until(partial(is_degraded_for, shop, reason), reason)
            assert (await shop.seen(invoice))["deposits"] == []
            shop.stop()

            provider.script = honest(lab)
            nursery.start_soon(blocks, lab)
            await shop.start()
            await lab.send_native(address(invoice), COIN // 20)
            paid = await shop.until_invoice(invoice, status="paid", payment_state="exact", sweep_state="swept")
            assert len(paid["deposits"]) == 1
            await until_quiet(shop)
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})


async def is_degraded_for(shop: Node, reason: str) -> bool:
    seen = await shop.network()
    return seen["state"] == "degraded" and reason in seen["reason"]


async def test_a_provider_without_logs_delays_a_token_payment_and_does_not_lose_it(tmp_path: Path) -> None:
    def without_logs(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return result(call, []) if call["method"] == "eth_getLogs" else answer

    async with merchant() as (lab, usdt, receiver, nursery), faulty(lab) as provider:
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, rpc=[provider.url]) as shop:
            late, canary = await shop.invoice("20", "eth_usdt"), await shop.invoice("100", "eth_eth")
            provider.script = in_front_of(lab, without_logs)
            await lab.transfer(usdt, address(late), 20 * USDT)
            await lab.send_native(address(canary), COIN // 20)
            nursery.start_soon(blocks, lab)
            await shop.until_invoice(canary, status="paid")
            assert (await shop.seen(late))["deposits"] == []
            assert "eth_getLogs" in provider.methods
            provider.script = honest(lab)
            await shop.until_invoice(late, status="paid", payment_state="exact", sweep_state="swept")
            await until_quiet(shop)
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})


async def test_a_chain_that_stands_still_expires_nothing_until_it_goes_on(tmp_path: Path) -> None:
    """An invoice without an address is the canary: it expires by the clock."""
    async with merchant() as (lab, usdt, receiver, _):
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}) as shop:
            asked = await shop.invoice("20", "eth_usdt", expires_in=5 * MINUTE)
            paid = await shop.invoice("30", "eth_usdt", expires_in=5 * MINUTE)
            unasked = await shop.invoice("20", "eth_usdt", expires_in=5 * MINUTE, provision=False)
            shop.stop()
            shop.program = ("-c", TEN_MINUTES_AHEAD)
            await shop.start()
            await shop.until_invoice(unasked, status="expired")
            assert (await shop.seen(asked))["status"] == "open"
            await lab.transfer(usdt, address(paid), 30 * USDT)  # in time, as the chain tells it
            await lab.mine(3)
            await shop.until_invoice(paid, status="paid", late=False)
            assert (await shop.seen(asked))["status"] == "open"
            await lab.rpc("evm_increaseTime", 10 * MINUTE)
            await lab.mine()
            await shop.until_invoice(asked, status="expired")
            assert_audited(shop)


async def test_what_was_paid_while_the_node_was_down_is_all_found_in_its_order(tmp_path: Path) -> None:
    async with merchant() as (lab, usdt, receiver, nursery):
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}) as shop:
            invoices = [await shop.invoice("20", "eth_eth" if number % 3 else "eth_usdt") for number in range(10)]
            shop.stop()
            payments = []
            for number, invoice in enumerate(reversed(invoices)):
                is_token = invoice["methods"][0]["method"] == "eth_usdt"
                units = (20 * USDT if is_token else COIN // 100) * (2 if number == 4 else 1)
                to = address(invoice)
                await (lab.transfer(usdt, to, units) if is_token else lab.send_native(to, units))
                payments.append((invoice["id"], str(units)))
                await lab.mine(number)
            await lab.mine(200)
            await shop.start()
            for invoice in invoices:
                await shop.until_invoice(invoice, status="paid")
            found = sorted(await shop.listed("deposits"), key=lambda deposit: deposit["block_number"])
            assert [(deposit["invoice"], deposit["amount_units"]) for deposit in found] == payments
            overpaid = next(invoice for invoice in invoices if invoice["id"] == payments[4][0])
            assert (await shop.seen(overpaid))["amount_overpaid"] == "20.00"
            nursery.start_soon(blocks, lab)
            await until_quiet(shop)
            for invoice in invoices:
                await until_told(shop, invoice, "invoice.paid")
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})


async def test_a_network_that_fails_stops_no_other_and_shares_its_addresses(tmp_path: Path) -> None:
    async with (
        anvil(chain_id=OTHER_CHAIN_ID) as far,
        faulty(far) as provider,
        merchant() as (lab, usdt, receiver, nursery),
    ):
        more = f"""
[networks.far]
family = "evm"
chain_id = {OTHER_CHAIN_ID}
rpc = ["{provider.url}"]
confirmations = 3
tick_seconds = 1
treasury = "{TREASURY}"
native = {{ symbol = "eth", decimals = 18 }}
sweep = {{ every = "1s" }}
"""
        async with node(tmp_path, lab, receiver, {"usdt": (usdt, 6)}, more=more) as shop:
            nursery.start_soon(blocks, lab)
            nursery.start_soon(blocks, far)
            astray, there = await shop.invoice("20", "eth_usdt"), await shop.invoice("20", "far_eth")
            await far.send_native(address(astray), COIN // 100)
            (told,) = await shop.until_told("deposit.unattributed")
            stray = told["data"]["object"]
            assert (stray["invoice"], stray["network"], stray["address"]) == (None, "far", address(astray))
            assert (await shop.seen(astray))["payment_state"] == "none"

            provider.script = down
            await shop.until_network("degraded", "far")
            assert (await shop.network("eth"))["state"] == "ok"
            await far.send_native(address(there), COIN // 100)
            await lab.transfer(usdt, address(astray), 20 * USDT)
            await shop.until_invoice(astray, status="paid", sweep_state="swept")
            assert (await shop.network("far"))["state"] == "degraded"
            assert (await shop.seen(there))["status"] == "open"

            provider.script = honest(far)
            await shop.until_invoice(there, status="paid", sweep_state="swept")
            await shop.until_network("ok", "far")
            await until_quiet(shop)
            await assert_books_match_chain(shop, lab, {"eth_usdt": usdt, "eth_eth": None})
            await assert_books_match_chain(shop, far, {"far_eth": None})
