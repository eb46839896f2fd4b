"""The other resources: endpoints, deliveries, events, balances, networks, the node, and the simulation's routes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.api.conftest import Api, World
from tests.lab.shop import NOW

from paynode.api.app import create_app
from paynode.api.node import ApiNode
from paynode.domain.ledger import deposit_confirmed, sweep_signed
from paynode.operations.outflows import pause
from paynode.store import chain, ledger
from paynode.store.database import Tx


async def test_an_endpoint_lives_its_life(world: World, api: Api) -> None:
    made = await api.post("/v1/webhook_endpoints", {"url": "https://shop.example/hook", "events": ["invoice.*"]})
    assert made.status == 201
    assert made.json["secret"].startswith("whsec_")
    path = f"/v1/webhook_endpoints/{made.json['id']}"
    shown = (await api.get(path)).json
    assert "secret" not in shown
    assert (await api.get("/v1/webhook_endpoints")).json["data"] == [shown]
    changed = await api.send("PATCH", path, raw=b'{"events": ["*"], "state": "disabled"}')
    assert (changed.json["events"], changed.json["state"]) == (["*"], "disabled")
    assert (await api.post(f"{path}/ping")).json["code"] == "endpoint_disabled"
    await api.send("PATCH", path, raw=b'{"state": "enabled"}')
    ping = await api.post(f"{path}/ping")
    assert (ping.status, ping.json["type"]) == (201, "ping")
    deleted = await api.send("DELETE", path)
    assert (deleted.status, deleted.raw) == (204, b"")
    assert (await api.get(path)).status == 404
    assert (await api.get("/v1/webhook_endpoints")).json["data"] == []


async def test_a_rotation_takes_the_owners_secret_if_it_is_whole_and_new(world: World, api: Api) -> None:
    made = (await api.post("/v1/webhook_endpoints", {"url": "https://shop.example/hook"})).json
    path = f"/v1/webhook_endpoints/{made['id']}/rotate_secret"
    mine = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    for refused in ("whsec_short", made["secret"]):
        assert list((await api.post(path, {"secret": refused})).problems) == ["/secret"]
    assert (await api.post(path, {"secret": mine})).json["secret"] == mine
    assert (await world.caller_of_other_store().post(path, {})).status == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": "https://internal.example"}, "/url"),
        ({"url": 5}, "/url"),
        ({"url": "https://shop.example", "events": ["nonsense"]}, "/events/0"),
        ({"url": "https://shop.example", "events": "*"}, "/events"),
        ({"url": "https://shop.example", "secret": "short"}, "/secret"),
    ],
)
async def test_an_endpoint_that_cannot_be_is_refused(api: Api, body: object, pointer: str) -> None:
    assert list((await api.post("/v1/webhook_endpoints", body)).problems) == [pointer]


async def test_a_delivery_is_listed_shown_and_sent_again(api: Api) -> None:
    endpoint = (await api.post("/v1/webhook_endpoints", {"url": "https://shop.example/hook"})).json
    await api.invoice()
    [delivery] = (await api.get("/v1/deliveries", state="due", endpoint=endpoint["id"])).json["data"]
    assert (delivery["url"], delivery["attempts"]) == ("https://shop.example/hook", [])
    assert (await api.get(f"/v1/deliveries/{delivery['id']}")).json == delivery
    assert (await api.post(f"/v1/deliveries/{delivery['id']}/replay")).json["state"] == "due"
    assert (await api.get("/v1/deliveries", state="abandoned")).json["data"] == []


async def test_an_event_is_listed_by_type_and_subject_as_webhooks_tell_it(api: Api) -> None:
    invoice = await api.invoice()
    [event] = (await api.get("/v1/events", type="invoice.created", subject=invoice["id"])).json["data"]
    assert event["data"]["object"]["id"] == invoice["id"]
    assert (await api.get(f"/v1/events/{event['id']}")).json == event
    assert (await api.get("/v1/events", type="invoice.paid")).json["data"] == []


async def test_balances_tell_what_lies_where_in_units_and_decimals(world: World, api: Api) -> None:
    world.shop.database.write(book, world.shop.store_id)
    balances = {entry["method"]: entry for entry in (await api.get("/v1/balances")).json["data"]}
    usdt = balances["sim_usdt"]
    assert (usdt["deposits_units"], usdt["deposits"], usdt["in_transit"]) == ("4500000", "4.5", "3")
    assert (usdt["swept_units"], usdt["gas_units"], usdt["reversed_units"], usdt["decimals"]) == ("0", "0", "0", 6)
    assert balances["sim_gone"]["deposits_units"] == "7"
    assert balances["sim_gone"]["deposits"] is None
    everywhere = (await world.caller(of_node=True).get("/v1/balances")).json["data"]
    assert {entry["store"] for entry in everywhere} == {world.shop.store_id, world.other_store_id}


async def test_payment_methods_carry_names_that_are_the_same_everywhere(api: Api) -> None:
    methods = {entry["method"]: entry for entry in (await api.get("/v1/payment_methods")).json["data"]}
    usdt = methods["sim_usdt"]
    assert (usdt["chain"], usdt["symbol"], usdt["decimals"], usdt["stable"]) == ("sim:sim", "usdt", 6, True)
    assert usdt["asset"] == f"sim:sim/erc20:{usdt['contract']}"
    assert (usdt["enabled"], usdt["ready"]) == (True, True)


async def test_a_network_tells_how_far_it_is_followed(world: World) -> None:
    owner = world.caller(of_node=True)
    world.clock.advance(timedelta(seconds=90))
    [network] = (await owner.get("/v1/networks")).json["data"]
    assert (network["id"], network["state"], network["cursor"]["number"], network["lag_seconds"]) == (
        "sim",
        "ok",
        10,
        90,
    )
    assert network["providers"] == [
        {
            "name": "rpc.example",
            "state": "spent",
            "reason": "its 25000 calls of today (UTC) are used up",
            "head": 10,
            "lag_blocks": 2,
            "errors_today": 3,
            "lies_today": 1,
            "calls_today": 25_007,
            "calls_per_day": 25_000,
            "calls_saved_today": 1_234,
            "seconds_waited_today": 5_678,
        }
    ]
    assert network["reason"] == "rpc.example: its 25000 calls of today (UTC) are used up"
    assert (await owner.get("/v1/networks/sim")).json == network
    assert (await owner.get("/v1/networks/eth")).status == 404


async def test_the_status_says_without_a_key_whether_money_is_watched(world: World) -> None:
    anybody = Api(world.app, None)
    assert (await anybody.get("/v1/status")).json["watching"] is False
    world.shop.database.write(look, world)
    assert (await anybody.get("/v1/status")).json == {
        "object": "status",
        "alive": True,
        "watching": True,
        "mode": "sim",
    }
    world.clock.advance(timedelta(minutes=10, seconds=10))  # nothing is open: a look each ten minutes
    assert (await anybody.get("/v1/status")).json["watching"] is True
    world.clock.advance(timedelta(minutes=5))
    assert (await anybody.get("/v1/status")).json["watching"] is False


async def test_the_node_tells_its_pauses_until_they_are_acknowledged(world: World) -> None:
    owner = world.caller(of_node=True)
    world.shop.database.write(pause, world.shop.catalogue, "sim", "", "a test", NOW)
    node = (await owner.get("/v1/node")).json
    assert (node["version"], node["mode"], node["services"]) == ("1.2.3", "sim", {"scanner": "ok"})
    assert node["outflows"]["paused"] is True
    assert node["outflows"]["reasons"][0]["reason"] == "a test"
    assert [entry["reason"] for entry in (await owner.post("/v1/outflows/resume")).json["data"]] == ["a test"]
    assert (await owner.get("/v1/node")).json["outflows"] == {"paused": False, "reasons": []}


async def test_a_store_sees_itself(world: World, api: Api) -> None:
    [store] = (await api.get("/v1/stores")).json["data"]
    assert (store["id"], store["key"], store["livemode"]) == (world.shop.store_id, "main", False)
    assert (store["account"], store["allowed_origins"], store["invoices"]["expires_in"]) == (
        0,
        ["https://shop.example"],
        1800,
    )
    assert len((await world.caller(of_node=True).get("/v1/stores")).json["data"]) == 2


async def test_a_store_has_terms_of_its_own(world: World) -> None:
    other = world.caller_of_other_store()
    (store,) = (await other.get("/v1/stores")).json["data"]
    assert (store["invoices"]["expires_in"], store["branding"]["color"]) == (7200, "#0b6e4f")
    invoice = await other.invoice(tolerance={"over_percent": "1"})
    assert 7190 < invoice["expires_in"] <= 7200
    assert invoice["tolerance"] == {"under_percent": "2", "over_percent": "1"}
    seen = (await other.get(f"/checkout/{invoice['id']}")).json
    assert seen["branding"] == {"color": "#0b6e4f", "support_url": None, "support_email": "help@example.com"}


async def test_a_simulated_payment_provisions_and_pays_what_is_asked(world: World, api: Api) -> None:
    invoice = await api.invoice(methods=["sim_usdt"])
    path = f"/v1/test/invoices/{invoice['id']}/pay"
    assert (await api.post(path, {"amount": "1.5"})).json["amount"] == "1.5"
    assert (await api.get(f"/v1/invoices/{invoice['id']}")).json["methods"][0]["state"] == "active"
    assert (await api.post(path, {"percent": 50, "late": True})).status == 201
    assert (await api.post(path)).status == 201
    assert [asked[3:] for asked in world.simulation.asked] == [
        (1_500_000, False),
        (10_000_000, True),
        (20_000_000, False),
    ]
    await api.post("/v1/test/reorg", {"depth": 2})
    await api.post("/v1/test/outage", {"on": True})
    moved = await api.post("/v1/test/time", {"advance": "2h45m"})
    assert moved.json == {"object": "time", "now": "2026-01-01T02:45:00.000Z"}
    assert world.simulation.asked[-3:] == [("reorg", 2), ("outage", True), ("advance", timedelta(hours=2, minutes=45))]


@pytest.mark.parametrize(
    "body",
    [
        {"method": "btc_btc"},
        {"amount": "0"},
        {"amount": "9" * 60},
        {"amount": "1", "percent": "1"},
        {"percent": "-1"},
        {"amount": "0.0000001"},
        {"from": "nobody"},
    ],
)
async def test_a_simulated_payment_that_cannot_be_is_refused(world: World, api: Api, body: object) -> None:
    invoice = await api.invoice(methods=["sim_usdt"])
    reply = await api.post(f"/v1/test/invoices/{invoice['id']}/pay", body)
    assert reply.status == 422
    assert world.simulation.asked == []


@pytest.mark.parametrize("advance", [0, -1, "soon", "P2Y", "400d", True])
async def test_time_only_moves_on_and_not_too_far(world: World, api: Api, advance: object) -> None:
    reply = await api.post("/v1/test/time", {"advance": advance})
    assert (reply.status, list(reply.problems)) == (422, ["/advance"])
    assert world.simulation.asked == []


async def test_without_a_simulation_there_are_no_test_routes(world: World) -> None:
    node = ApiNode(
        world.shop.database,
        world.shop.catalogue,
        lambda family, account, index: "",
        lambda family, text: text,
        world.clock,
        lambda url: None,
        "1.2.3",
        NOW,
        dict,
    )
    caller = replace(world.caller(), app=create_app(node))
    assert (await caller.post("/v1/test/mine", {"blocks": 1})).status == 404


def book(tx: Tx, store_id: str) -> None:
    for posting in (deposit_confirmed("sim_usdt", 7_500_000), sweep_signed("sim_usdt", 3_000_000)):
        ledger.post(tx, store_id, posting, cause="dep_1", reason="test", now=NOW)
    ledger.post(tx, store_id, deposit_confirmed("sim_gone", 7), cause="dep_2", reason="test", now=NOW)


def look(tx: Tx, world: World) -> None:
    chain.save_network(tx, replace(chain.network(tx, "sim"), looked_at=world.clock()))
