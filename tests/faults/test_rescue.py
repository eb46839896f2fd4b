"""Money that was sent and is not seen, on one node with two networks: found by check, claim, assign and rescan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio
from tests.faults.chaosproxy import ChaosProxy, Fault, Rule, chaos, of
from tests.faults.test_spine import address, blocks
from tests.faults.together import Together
from tests.lab.anvil import anvil
from tests.lab.books import assert_audited, assert_books_match_chain
from tests.lab.client import Deployed, Lab
from tests.lab.node import TREASURY, Node, node
from tests.lab.receiver import Receiver

from paynode.config import load_config
from paynode.domain.rescue import ALLOWANCES, Asker
from paynode.store import database as databases

USDT, COIN = 10**6, 10**18
NOWHERE = "0x" + "ab" * 32
FORGOTTEN_SECONDS = 2 * 3600  # past the end of a watch; all jumps together stay within an invoice's time
HIDDEN_LOGS = (Rule(Fault.EMPTY, methods=of("eth_getLogs")),)

Json = dict[str, Any]


@dataclass
class Place:
    """A shop on two networks of one family; `hiders` are the providers of the first."""

    lab: Lab
    side: Lab
    shop: Node
    hiders: tuple[ChaosProxy, ...]
    usdt: Deployed
    usdc: Deployed
    side_usdt: Deployed
    still: trio.Lock  # held, the first network makes no blocks but those of transactions

    async def forgotten(self, method: str = "eth_usdt") -> Json:
        """An invoice that has expired, and whose address is watched no longer on either network."""
        invoice = await self.shop.invoice("20", method, expires_in=60)
        for lab in (self.lab, self.side):
            await lab.rpc("evm_increaseTime", FORGOTTEN_SECONDS)
        await self.shop.until_invoice(invoice, status="expired")

        async def is_closed() -> bool:
            return self.closed_watches(invoice) == 2

        await self.shop.until(is_closed, "its watch is over")
        return invoice

    def closed_watches(self, invoice: Json) -> int:
        database = databases.open(load_config(self.shop.config, environ=self.shop.env).node.database)
        try:
            sql = "select count(*) from watches where is_closed = 1 and invoice_id = ?"
            ((count,),) = database.read(lambda tx: tx.rows(sql, (invoice["id"],)))
            return int(count)
        finally:
            database.close()

    async def passed(self) -> None:
        """Until the node has gone past the newest block of the first network."""
        canary = await self.shop.invoice("1", "eth_usdt")
        await self.lab.transfer(self.usdt, address(canary), USDT)
        await self.shop.until_invoice(canary, status="paid")

    async def claim(self, invoice: Json, receipt: Json) -> Json:
        return await self.shop.post(f"/v1/invoices/{invoice['id']}/claim", {"tx_hash": receipt["transactionHash"]})

    async def until_claim(self, invoice: Json, state: str) -> Json:
        """The invoice's only claim, once it is in this state."""

        async def is_so() -> Json | None:
            (shown,) = (await self.shop.get(f"/v1/invoices/{invoice['id']}/claims"))["data"]
            return shown if shown["state"] == state else None

        found: Json = await self.shop.until(is_so, f"the claim is {state}")
        return found

    async def until_stray(self, invoice: Json, method: str) -> Json:
        """The final deposit to the invoice's address that counts for nothing."""

        async def is_so() -> Json | None:
            listed = (await self.shop.get("/v1/deposits?unattributed=true&limit=100"))["data"]
            of_it = [one for one in listed if one["address_invoice"] == invoice["id"] and one["method"] == method]
            return of_it[0] if of_it and of_it[0]["state"] == "settled" else None

        found: Json = await self.shop.until(is_so, f"{method} is seen and belongs to nobody")
        return found

    async def assign(self, deposit: Json, invoice: Json) -> Json:
        return await self.shop.post(f"/v1/deposits/{deposit['id']}/assign", {"invoice": invoice["id"]})


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    async with (
        anvil() as lab,
        anvil(chain_id=31338) as side,
        chaos(lab, seed=1) as one,
        chaos(lab, seed=2) as two,
        trio.open_nursery() as nursery,
    ):
        receiver = Receiver()
        await receiver.listen(nursery)
        usdt, usdc = await lab.deploy("TetherLike"), await lab.deploy("Standard", 6)
        side_usdt = await side.deploy("TetherLike")
        still = trio.Lock()
        nursery.start_soon(blocks, lab, still)
        nursery.start_soon(blocks, side)
        more = f"""
[networks.side]
family = "evm"
chain_id = 31338
rpc = ["{side.url}"]
confirmations = 3
tick_seconds = 1
treasury = "{TREASURY}"
native = {{ symbol = "eth", decimals = 18 }}
tokens.usdt = {{ contract = "{side_usdt.address}", decimals = 6, stable = true }}

[invoices]
expires_in = "2d"
monitor_for = "1h"
"""
        tokens = {"usdt": (usdt, 6), "usdc": (usdc, 6)}
        async with node(folder, lab, receiver, tokens, rpc=[one.url, two.url], more=more) as shop:
            await shop.invoice("1", "eth_usdt")  # while one is open, nothing rests
            yield Place(lab, side, shop, (one, two), usdt, usdc, side_usdt, still)
        nursery.cancel_scope.cancel()


cases = Together(place)


@cases.case
async def test_money_after_the_watch_is_found_by_the_payers_claim_and_accepted(place: Place) -> None:
    invoice = await place.forgotten()
    paid = await place.lab.transfer(place.usdt, address(invoice), 20 * USDT)
    await place.passed()
    assert (await place.shop.seen(invoice))["deposits"] == []
    url = f"{place.shop.url}/checkout/{invoice['id']}/claim"
    reply = await place.shop.client.post(url, json={"tx_hash": paid["transactionHash"]})
    assert (reply.status_code, reply.json()["state"]) == (202, "pending")
    claimed = await place.until_claim(invoice, "found")
    seen = await place.shop.until_invoice(invoice, late=True, payment_state="exact", sweep_state="swept")
    assert claimed["deposits"] == [deposit["id"] for deposit in seen["deposits"]]
    assert seen["status"] == "expired"
    assert (await place.shop.post(f"/v1/invoices/{invoice['id']}/accept"))["status"] == "paid"


@cases.case
async def test_coins_after_the_watch_are_found_by_a_check(place: Place) -> None:
    invoice = await place.forgotten("eth_eth")
    await place.lab.send_native(address(invoice), COIN // 100)
    await place.passed()
    assert (await place.shop.seen(invoice))["deposits"] == []
    checked = await place.shop.post(f"/v1/invoices/{invoice['id']}/check")
    assert {each["network"] for each in checked["networks"]} == {"eth", "side"}
    seen = await place.shop.until_invoice(invoice, late=True, payment_state="exact")
    assert [deposit["late"] for deposit in seen["deposits"]] == [True]


@cases.case
async def test_money_after_the_watch_is_found_by_rescan_beside_the_running_node(place: Place) -> None:
    invoice = await place.forgotten()
    await place.lab.transfer(place.usdt, address(invoice), 20 * USDT)
    for _ in range(2):
        printed = place.shop.paynode("rescan", "--invoice", invoice["id"])
        assert printed == "eth: 1 address to be read again\nside: 1 address to be read again\n"
    seen = await place.shop.until_invoice(invoice, late=True, payment_state="exact")
    assert len(seen["deposits"]) == 1


@cases.case
async def test_money_on_the_wrong_network_after_the_watch_is_claimed_and_assigned(place: Place) -> None:
    invoice = await place.forgotten()
    paid = await place.side.transfer(place.side_usdt, address(invoice), 20 * USDT)
    await place.claim(invoice, paid)
    deposit = await place.until_stray(invoice, "side_usdt")
    claimed = await place.until_claim(invoice, "found")
    assert claimed["deposits"] == [deposit["id"]]
    assert "must assign" in claimed["reason"]
    assert (await place.assign(deposit, invoice))["late"] is True
    seen = await place.shop.until_invoice(invoice, payment_state="exact", late=True)
    assert seen["status"] == "expired"


@cases.case
async def test_the_wrong_token_is_assigned_and_pays_as_it_came_in_time(place: Place) -> None:
    invoice = await place.shop.invoice("20", "eth_usdt")
    await place.lab.transfer(place.usdc, address(invoice), 20 * USDT)
    deposit = await place.until_stray(invoice, "eth_usdc")
    for _ in range(2):
        assert (await place.assign(deposit, invoice))["value"] == "20.00"
    seen = await place.shop.until_invoice(invoice, status="paid", payment_state="exact")
    assert [one["id"] for one in seen["deposits"]] == [deposit["id"]]


@cases.case
async def test_a_claim_of_somebody_elses_payment_gives_nothing(place: Place) -> None:
    thief, payer = await place.shop.invoice("20", "eth_usdt"), await place.shop.invoice("20", "eth_usdt")
    paid = await place.lab.transfer(place.usdt, address(payer), 20 * USDT)
    await place.claim(thief, paid)
    await place.shop.until_invoice(payer, status="paid", payment_state="exact")

    async def is_refused() -> Json | None:
        (shown,) = (await place.shop.get(f"/v1/invoices/{thief['id']}/claims"))["data"]
        answers = {each["network"]: each["answer"] for each in shown["networks"]}
        return shown if answers["eth"] == "elsewhere" else None

    shown = await place.shop.until(is_refused, "the claim is answered")
    assert shown["deposits"] == []
    seen = await place.shop.seen(thief)
    assert (seen["status"], seen["deposits"]) == ("open", [])


@cases.case
async def test_a_claim_made_twice_is_one_and_credits_once(place: Place) -> None:
    invoice = await place.shop.invoice("20", "eth_usdt")
    paid = await place.lab.transfer(place.usdt, address(invoice), 20 * USDT)
    first = await place.claim(invoice, paid)
    await place.shop.until_invoice(invoice, status="paid")
    second = await place.claim(invoice, paid)
    assert first["id"] == second["id"]
    await place.until_claim(invoice, "found")
    await place.passed()
    seen = await place.shop.seen(invoice)
    assert (seen["payment_state"], len(seen["deposits"])) == ("exact", 1)


@cases.case
async def test_a_payer_may_ask_so_often_and_the_merchant_still_may(place: Place) -> None:
    invoice = await place.shop.invoice("20", "eth_usdt")
    url, allowance = f"{place.shop.url}/checkout/{invoice['id']}", ALLOWANCES[Asker.PAYER]
    for path, body, limit in (
        ("check", {}, allowance.checks_per_hour),
        ("claim", {"tx_hash": NOWHERE}, allowance.claims_per_hour),
    ):
        for _ in range(limit):
            assert (await place.shop.client.post(f"{url}/{path}", json=body)).status_code == 202
        refused = await place.shop.client.post(f"{url}/{path}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        assert 0 < int(refused.headers["Retry-After"]) <= 3600
    await place.shop.post(f"/v1/invoices/{invoice['id']}/check")


@cases.in_the_end
async def test_a_payment_whose_logs_every_provider_hides_is_found_by_its_hash(place: Place) -> None:
    invoice = await place.shop.invoice("20", "eth_usdt")
    for hider in place.hiders:
        hider.rules = HIDDEN_LOGS
    paid = await place.lab.transfer(place.usdt, address(invoice), 20 * USDT)
    coins = await place.shop.invoice("20", "eth_eth")  # the canary has no logs
    await place.lab.send_native(address(coins), COIN // 100)
    await place.shop.until_invoice(coins, status="paid")
    assert (await place.shop.seen(invoice))["deposits"] == []
    await place.claim(invoice, paid)
    seen = await place.shop.until_invoice(invoice, status="paid", payment_state="exact")
    assert [deposit["tx_hash"] for deposit in seen["deposits"]] == [paid["transactionHash"]]
    for hider in place.hiders:
        hider.calm()


@cases.in_the_end
async def test_a_claimed_payment_that_the_chain_takes_back_is_found_no_more(place: Place) -> None:
    invoice = await place.shop.invoice("20", "eth_usdt")
    async with place.still:  # or the payment might be final before it is taken back
        paid = await place.lab.transfer(place.usdt, address(invoice), 20 * USDT)
        await place.claim(invoice, paid)
        await place.until_claim(invoice, "found")
        while await place.lab.rpc("eth_getTransactionReceipt", paid["transactionHash"]) is not None:
            head = int((await place.lab.block())["number"], 16)  # a sweep may have made a block since
            await place.lab.reorg(head - int(paid["blockNumber"], 16) + 1)
        await place.lab.mine(2)

    async def is_gone() -> bool:
        (shown,) = (await place.shop.get(f"/v1/invoices/{invoice['id']}/claims"))["data"]
        return shown["deposits"] == [] and shown["state"] != "found"

    await place.shop.until(is_gone, "the deposit is orphaned")
    again = await place.lab.transfer(place.usdt, address(invoice), 20 * USDT)
    seen = await place.shop.until_invoice(invoice, status="paid", payment_state="exact")
    standing = [deposit for deposit in seen["deposits"] if deposit["state"] != "orphaned"]
    assert [deposit["tx_hash"] for deposit in standing] == [again["transactionHash"]]


@cases.in_the_end
async def test_in_the_end_the_books_match_both_chains(place: Place) -> None:
    async def is_swept() -> bool:
        listed = (await place.shop.get("/v1/deposits?limit=100"))["data"]
        on_eth = [one for one in listed if one["network"] == "eth" and one["state"] != "orphaned"]
        sweeps = (await place.shop.get("/v1/sweeps?limit=100"))["data"]
        is_over = all(sweep["state"] == "completed" for sweep in sweeps if sweep["method"].startswith("eth_"))
        return is_over and all(one["sweep_state"] == "swept" for one in on_eth)

    await place.shop.until(is_swept, "everything on the first network is swept")
    tokens = {"eth_usdt": place.usdt, "eth_usdc": place.usdc, "eth_eth": None}
    await assert_books_match_chain(place.shop, place.lab, tokens)
    await assert_books_match_chain(place.shop, place.side, {"side_usdt": place.side_usdt})
    assert_audited(place.shop)
