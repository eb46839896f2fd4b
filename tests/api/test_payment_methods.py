"""Payment methods: their numbers, and what a store says about each."""

from typing import Any

import pytest
from tests.api.conftest import Api, World


async def changed(caller: Api, method: str, **fields: object) -> Any:
    reply = await caller.patch(f"/v1/payment_methods/{method}", fields)
    assert reply.status == 200, reply.raw
    return reply.json


async def offered(caller: Api, **fields: object) -> list[str]:
    return [entry["method"] for entry in (await caller.invoice(**fields))["methods"]]


async def test_each_method_has_a_number_that_means_it(api: Api) -> None:
    listed = (await api.get("/v1/payment_methods")).json["data"]
    number = {entry["method"]: entry["number"] for entry in listed}
    assert len(set(number.values())) == len(number)
    assert await offered(api, methods=[number["sim_usdt"]]) == ["sim_usdt"]
    assert await offered(api, methods=str(number["sim_usdt"])) == ["sim_usdt"]
    refused = await api.post("/v1/invoices", {"amount": "1", "currency": "USD", "methods": [4711]})
    assert refused.problems == {"/methods/0": "unknown_method"}


async def test_a_number_means_its_method_wherever_one_is_named(world: World, api: Api) -> None:
    """Goal: who stores numbers needs no names. Method: fields, keys of maps, filters, paths of the API and the page."""
    listed = (await api.get("/v1/payment_methods")).json["data"]
    number = {entry["method"]: entry["number"] for entry in listed}
    usdt, sim = str(number["sim_usdt"]), str(number["sim_sim"])
    assert await offered(api, methods=["all", f"-{sim}"], rates={usdt: "1"}) == ["sim_usdt"]
    invoice = await api.invoice(methods=[usdt, sim], rates={sim: "40"}, confirmations={usdt: 7}, currency="USD")
    by_method = {entry["method"]: entry for entry in invoice["methods"]}
    assert by_method["sim_sim"]["rate"] == "40"
    assert by_method["sim_usdt"]["confirmations_required"] == 7
    path = f"/v1/invoices/{invoice['id']}"
    for body in ({"method": number["sim_usdt"]}, {"method": usdt}):
        paid = await api.post(f"/v1/test/invoices/{invoice['id']}/pay", body)
        assert (paid.status, paid.json["method"]) == (201, "sim_usdt")
    assert (await api.post(f"{path}/methods/{usdt}")).status == 200
    assert (await api.get(f"{path}/qr.svg", method=usdt)).status == 200
    assert [entry["method"] for entry in (await api.get("/v1/balances", method=usdt)).json["data"]] == ["sim_usdt"]
    assert [entry["id"] for entry in (await api.get("/v1/invoices", method=sim)).json["data"]] == [invoice["id"]]
    assert (await api.post("/v1/sweeps/preview", {"method": number["sim_usdt"]})).status == 200
    payer = Api(world.app, None)
    page = await payer.get(f"/i/{invoice['id']}/{usdt}")
    assert (page.status, by_method["sim_usdt"]["amount"].encode() in page.raw) == (200, True)
    picked = await payer.send("POST", f"/i/{invoice['id']}/{sim}")
    assert (picked.status, picked.headers["Location"]) == (303, f"/i/{invoice['id']}/sim_sim")


async def test_what_a_store_switched_off_is_left_out_of_groups_and_refused_by_name(world: World, api: Api) -> None:
    before = await api.invoice()
    seen = await changed(api, "sim_usdt", enabled=False)
    assert (seen["enabled"], seen["ready"], seen["reason"]) == (False, False, "the store has switched it off")
    named = await api.post("/v1/invoices", {"amount": "1", "currency": "USD", "methods": ["sim_usdt"]})
    assert named.problems == {"/methods": "method_switched_off"}
    assert "sim_usdt" not in await offered(api, amount="1", currency="SIM", methods=["all"])
    assert "sim_usdt" in [entry["method"] for entry in (await api.get(f"/v1/invoices/{before['id']}")).json["methods"]]
    assert await offered(world.caller_of_other_store(), methods=["sim_usdt"]) == ["sim_usdt"]
    assert (await changed(api, "sim_usdt", enabled=True))["ready"] is True
    assert await offered(api, methods=["sim_usdt"]) == ["sim_usdt"]


async def test_a_method_with_a_minimum_is_offered_from_that_amount_on(api: Api) -> None:
    seen = await changed(api, "sim_usdt", minimum={"amount": "5", "currency": "usd"})
    assert seen["minimum"] == {"amount": "5", "currency": "USD"}
    assert await offered(api, amount="5", methods=["sim_usdt"]) == ["sim_usdt"]
    too_small = await api.post("/v1/invoices", {"amount": "4.99", "currency": "USD", "methods": ["sim_usdt"]})
    assert too_small.problems == {"/methods": "below_minimum"}
    in_a_coin = await api.post("/v1/invoices", {"amount": "4.99", "currency": "USDT", "methods": ["stables"]})
    assert in_a_coin.problems == {"/methods": "no_method"}
    assert (await changed(api, "sim_usdt", enabled=True))["minimum"] is not None
    assert (await changed(api, "sim_usdt", minimum=None))["minimum"] is None
    assert await offered(api, amount="0.01", methods=["sim_usdt"]) == ["sim_usdt"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"minimum": {"amount": "0", "currency": "USD"}}, {"/minimum/amount": "out_of_range"}),
        ({"minimum": {"amount": "1.001", "currency": "USD"}}, {"/minimum/amount": "not_an_amount"}),
        ({"minimum": {"amount": "1", "currency": "USDT"}}, {"/minimum/currency": "unknown_currency"}),
        ({"minimum": {"amount": "1"}}, {"/minimum/currency": "required"}),
        ({"enabled": "yes"}, {"/enabled": "invalid_value"}),
    ],
)
async def test_what_cannot_be_is_refused_by_field(api: Api, fields: dict[str, object], problem: dict[str, str]) -> None:
    reply = await api.patch("/v1/payment_methods/sim_usdt", fields)
    assert (reply.status, reply.problems) == (422, problem)


async def test_a_key_of_the_node_says_whose_methods(world: World) -> None:
    owner = world.caller(of_node=True)
    assert len((await owner.get("/v1/payment_methods")).json["data"]) == 2
    unsaid = await owner.patch("/v1/payment_methods/sim_usdt", {"enabled": False})
    assert unsaid.problems == {"/store": "required"}
    assert (await changed(owner, "sim_usdt", enabled=False, store=world.other_store_id))["enabled"] is False
    listed = (await owner.get("/v1/payment_methods", store=world.other_store_id)).json["data"]
    assert [entry["enabled"] for entry in listed if entry["method"] == "sim_usdt"] == [False]
    unknown = await owner.patch("/v1/payment_methods/sim_gone", {"enabled": False, "store": world.other_store_id})
    assert unknown.status == 404
