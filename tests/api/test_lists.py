"""Lists over HTTP: totals, whose objects they hold, and what their parameters may say."""

from datetime import timedelta

import pytest
from tests.api.conftest import Api, World
from tests.api.test_deposits import DOLLAR, arrive
from tests.lab.shop import NOW

from paynode.domain.ledger import deposit_confirmed
from paynode.store import ledger
from paynode.store.database import Tx


def book(tx: Tx, world: World) -> None:
    posting = deposit_confirmed("sim_usdt", 4_500_000)
    ledger.post(tx, world.shop.store_id, posting, cause="dep_1", reason="deposit_confirmed", now=NOW)


async def paid(world: World, api: Api, amount: str = "20") -> str:
    """The id of an invoice whose money has arrived."""
    invoice = await api.invoice(amount=amount, methods=["sim_usdt"], provision=True)
    arrive(world, invoice["methods"][0]["address"], "sim_usdt", int(amount) * DOLLAR)
    return str(invoice["id"])


async def test_a_total_is_told_to_those_who_ask(world: World, api: Api) -> None:
    await paid(world, api)
    await paid(world, api)
    plain = (await api.get("/v1/deposits", limit="1")).json
    assert "total" not in plain
    counted = (await api.get("/v1/deposits", limit="1", include="total")).json
    assert (counted["total"], counted["total_is_exact"], counted["has_more"]) == (2, True, True)
    assert {**plain, "total": 2, "total_is_exact": True} == counted
    for path in ("/v1/sweeps", "/v1/ledger"):
        assert (await api.get(path, include="total")).json["total"] == 0


async def test_a_store_sees_its_own_and_the_node_whom_it_names(world: World, api: Api) -> None:
    await paid(world, api)
    node = world.caller(of_node=True)
    for store_id, count in ((world.shop.store_id, 1), (world.other_store_id, 0)):
        assert (await node.get("/v1/deposits", store=store_id, include="total")).json["total"] == count
        assert (await api.get("/v1/deposits", store=store_id, include="total")).json["total"] == count
    assert (await node.get("/v1/deposits", include="total")).json["total"] == 1
    both = f"{world.shop.store_id},{world.other_store_id}"
    assert (await node.get("/v1/deposits", store=both, include="total")).json["total"] == 1
    assert (await world.caller_of_other_store().get("/v1/deposits", store=both)).json["data"] == []


async def test_deposits_are_found_by_amounts_of_one_coin(world: World, api: Api) -> None:
    for amount in ("3", "20", "1000"):
        await paid(world, api, amount)

    async def amounts(**query: str) -> list[str]:
        found = await api.get("/v1/deposits", method="sim_usdt", sort="created_at", **query)
        return [entry["amount"] for entry in found.json["data"]]

    assert await amounts(amount_min="3.0000001", amount_max="1000") == ["20", "1000"]
    assert await amounts(amount_max="19.999999") == ["3"]
    mixed = await api.get("/v1/deposits", amount_min="1")
    assert (mixed.status, mixed.problems) == (422, {"amount_min": "conflicting"})
    foreign = await api.get("/v1/deposits", method="sim_gone", amount_min="1")
    assert foreign.problems == {"method": "unknown_method"}


async def test_a_search_finds_a_payment_by_its_hash_or_its_address(world: World, api: Api) -> None:
    await paid(world, api)
    [deposit] = (await api.get("/v1/deposits")).json["data"]
    for wanted in (
        {"tx_hash": deposit["tx_hash"].upper()},
        {"address": deposit["address"].upper()},
        {"tx_hash": deposit["tx_hash"], "address": deposit["address"], "network": "sim"},
    ):
        assert (await api.post("/v1/deposits/search", wanted)).json["data"] == [deposit]
        assert (await world.caller_of_other_store().post("/v1/deposits/search", wanted)).json["data"] == []
    assert (await api.post("/v1/deposits/search", {"tx_hash": "0xcc", "network": "other"})).json["data"] == []
    assert (await api.post("/v1/deposits/search", {})).problems == {"/tx_hash": "required"}


async def test_the_ledger_tells_each_entry_with_its_worth_at_its_time(world: World, api: Api) -> None:
    world.shop.database.write(book, world)
    entries = (await api.get("/v1/ledger", sort="created_at")).json["data"]
    shown = [(entry["account"], entry["amount"], entry["value"], entry["rate"]) for entry in entries]
    assert shown == [("customers", "-4.5", "-4.50", "1"), ("deposits", "4.5", "4.50", "1")]
    assert {(entry["cause"], entry["reason"], entry["currency"]) for entry in entries} == {
        ("dep_1", "deposit_confirmed", "USD")
    }
    assert (await api.get("/v1/ledger", account="deposits", method="sim_usdt")).json["data"] == entries[1:]
    walked = await api.get("/v1/ledger", sort="created_at", limit="1")
    onward = await api.get("/v1/ledger", sort="created_at", starting_after=walked.json["next_cursor"])
    assert [*walked.json["data"], *onward.json["data"]] == entries
    after = (NOW + timedelta(days=1)).isoformat()
    assert (await api.get("/v1/ledger", created_after=after)).json["data"] == []
    assert (await world.caller_of_other_store().get("/v1/ledger")).json["data"] == []


async def test_balances_are_told_in_a_currency_that_has_a_rate(world: World, api: Api) -> None:
    world.shop.database.write(book, world)
    [dollars] = (await api.get("/v1/balances", method="sim_usdt")).json["data"]
    assert (dollars["deposits_value"], dollars["rate"], dollars["currency"]) == ("4.50", "1", "USD")
    assert dollars["rate_at"] is not None
    [euros] = (await api.get("/v1/balances", method="sim_usdt", currency="eur")).json["data"]
    assert (euros["deposits"], euros["deposits_value"], euros["rate"], euros["rate_at"]) == ("4.5", None, None, None)
    assert (await api.get("/v1/balances", currency="XXX")).problems == {"currency": "unknown_currency"}


@pytest.mark.parametrize("path", ["/v1/deposits", "/v1/sweeps", "/v1/ledger"])
async def test_lists_say_what_is_wrong_with_their_parameters(api: Api, path: str) -> None:
    refused = await api.get(path, include="everything", created_after="yesterday", limit="0", sort="amount")
    assert refused.problems == {
        "include": "unknown_value",
        "created_after": "not_a_moment",
        "limit": "out_of_range",
        "sort": "unknown_value",
    }


async def test_invoices_are_found_by_all_that_people_remember_of_them(world: World, api: Api) -> None:
    shoes = await api.invoice(
        name="Blue shoes", order_id="W-17", customer="Ann", metadata={"colour": "blue"}, amount="20", provision=True
    )
    await api.invoice(amount="100", currency="USD", methods=["sim_usdt"])
    coin = await api.invoice(amount="0.5", currency="SIM", methods=["sim_sim"])
    address = shoes["methods"][0]["address"]
    arrive(world, shoes["methods"][0]["address"], shoes["methods"][0]["method"], 1)

    async def found(**query: str) -> list[str]:
        return [entry["id"] for entry in (await api.get("/v1/invoices", **query)).json["data"]]

    for text in ("blu", "SHOES blue", "w 17", "ann", shoes["id"], shoes["id"][:-4], address, address[:-5]):
        assert await found(q=text) == [shoes["id"]], text
    assert await found(q="red shoes") == await found(q="!?") == []
    assert await found(order_id="W-17") == await found(**{"metadata[colour]": "blue"}) == [shoes["id"]]
    assert await found(**{"metadata[size]": "blue"}) == []
    assert await found(currency="sim") == await found(currency="sim", amount_min="0.50") == [coin["id"]]
    assert await found(currency="usd", amount_max="99.99") == await found(payment_state="partial") == [shoes["id"]]
    assert await found(method="sim_sim", currency="SIM", type="one_time", late="false") == [coin["id"]]
    assert await found(screening="clear") == await found(screening="flagged,passed") == []
    assert len(await found(screening="not_screened")) == 3
    assert await found(archived="true") == []
    await api.post(f"/v1/invoices/{coin['id']}/archive")
    assert await found(archived="true") == await found(archived="any", currency="SIM") == [coin["id"]]
    assert await found(currency="SIM") == []


async def test_invoices_are_sorted_by_amount_within_each_currency(world: World, api: Api) -> None:
    made = [await api.invoice(amount=amount) for amount in ("20", "3", "100", "3.5")]
    amounts, cursor = [], None
    while True:
        query = {"sort": "-amount", "limit": "2"} | ({} if cursor is None else {"starting_after": cursor})
        page = (await api.get("/v1/invoices", **query)).json
        amounts += [entry["amount"] for entry in page["data"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert amounts == ["100", "20", "3.5", "3"]
    back = (await api.get("/v1/invoices", sort="amount", ending_before=made[0]["id"])).json["data"]
    assert [entry["amount"] for entry in back] == ["3", "3.5"]
    foreign = await world.caller_of_other_store().get("/v1/invoices", sort="amount", starting_after=made[0]["id"])
    assert foreign.problems == {"starting_after": "unknown_invoice"}


async def test_amounts_compare_in_one_currency_only(api: Api) -> None:
    refused = await api.get("/v1/invoices", amount_max="1e3")
    assert refused.problems == {"amount_max": "not_an_amount"}
    refused = await api.get("/v1/invoices", amount_min="1")
    assert refused.problems == {"amount_min": "conflicting"}
    refused = await api.get("/v1/invoices", amount_min="-1", currency="USD")
    assert refused.problems == {"amount_min": "out_of_range"}
