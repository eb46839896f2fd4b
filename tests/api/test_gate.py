"""The gate: every route is public by name or needs a scope, and what is not the caller's does not exist."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.api.conftest import Api, World

from paynode.api import app as api_app
from paynode.api import gate, simulation
from paynode.api.body import Nothing
from paynode.api.routes import PUBLIC, Call, Route, Routes, answer
from paynode.operations.api_keys import revoke_key
from paynode.operations.once import Answer
from paynode.store import api_keys
from paynode.store.database import Tx

ROUTES = [route for table in (*api_app.TABLES, simulation.routes) for route in table.all]
SCOPED = [route for route in ROUTES if route.scope is not None]
BODIES = {
    "/v1/invoices": b'{"amount": "1", "currency": "USD"}',
    "/v1/webhook_endpoints": b'{"url": "https://example.com/hook"}',
    "/v1/test/reorg": b'{"depth": 1}',
    "/v1/test/outage": b'{"on": true}',
}


def path_of(route: Route, **known: str) -> str:
    path = route.path
    for name in (
        "invoice_id",
        "deposit_id",
        "event_id",
        "sweep_id",
        "endpoint_id",
        "delivery_id",
        "store_id",
        "key_id",
    ):
        path = path.replace(f"<{name}>", known.get(name, "inv_0000000000000000000000000A"))
    return path.replace("<method>", "sim_usdt").replace("<network>", "sim")


async def knock(caller: Api, route: Route, path: str) -> int:
    raw = None if route.method in {"GET", "DELETE"} else BODIES.get(route.path, b"{}")
    return (await caller.send(route.method, path, raw=raw)).status


def handler(_call: Call[Nothing], _tx: Tx) -> Answer:
    """Do nothing."""
    return answer({})


def undescribed(_call: Call[Nothing], _tx: Tx) -> Answer:
    return answer({})


def test_a_route_without_a_scope_that_is_not_on_the_public_list_cannot_be_declared() -> None:
    with pytest.raises(AssertionError, match="public list"):
        Routes().get("/v1/secrets", shows=None)(handler)


def test_a_route_with_a_scope_nobody_can_hold_cannot_be_declared() -> None:
    with pytest.raises(AssertionError, match="scope that exists"):
        Routes().get("/v1/secrets", scope="secrets:read", shows=None)(handler)


def test_a_public_route_cannot_name_a_scope_as_well() -> None:
    with pytest.raises(AssertionError, match="public list"):
        Routes().get("/v1/status", scope="node:read", shows=None)(handler)


def test_a_route_that_does_not_say_what_it_does_cannot_be_declared() -> None:
    with pytest.raises(AssertionError, match="docstring"):
        Routes().get("/v1/status", shows=None)(undescribed)


def test_a_route_cannot_refuse_for_reasons_that_nobody_explains() -> None:
    with pytest.raises(AssertionError, match="explains"):
        Routes().get("/v1/status", shows=None, refuses=["out_of_mood"])(handler)


def test_the_public_list_names_routes_that_exist() -> None:
    assert {route.name for route in ROUTES if route.scope is None} == PUBLIC


def test_the_app_serves_the_routes_of_the_tables_and_no_others(world: World) -> None:
    served = {
        f"{method} {rule.rule}"
        for rule in world.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert served == {route.name for route in ROUTES}


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: route.name)
async def test_a_scoped_route_is_closed_to_all_but_a_key_with_its_scope(world: World, route: Route) -> None:
    path = path_of(route)
    everything = world.caller(of_node=True)
    others = sorted({other.scope for other in SCOPED if other.scope} - {route.scope})
    assert await knock(Api(world.app, None), route, path) == 401
    assert await knock(Api(world.app, "pn_sim_unknown_key"), route, path) == 401
    assert await knock(world.caller(*others, of_node=True), route, path) == 403
    assert await knock(everything, route, path) not in {401, 403}
    revoke(world, everything)
    assert await knock(everything, route, path) == 401


@pytest.mark.parametrize("route", [route for route in SCOPED if "<invoice_id>" in route.path], ids=lambda r: r.name)
async def test_another_stores_invoice_is_answered_exactly_like_an_unknown_one(world: World, route: Route) -> None:
    mine = await world.caller().invoice()
    stranger = world.caller_of_other_store()
    foreign, unknown = path_of(route, invoice_id=mine["id"]), path_of(route)
    required = {field.encode_name: "x" for field in msgspec.structs.fields(route.form) if field.required}
    sent: dict[str, Any] = {"query": required} if route.method == "GET" else {"raw": msgspec.json.encode(required)}
    replies = [await stranger.send(route.method, path, **sent) for path in (foreign, unknown)]
    shown = [{k: v for k, v in reply.json.items() if k not in {"request_id", "instance"}} for reply in replies]
    assert shown[0] == shown[1]
    assert replies[0].status == 404


async def test_another_stores_endpoints_and_deliveries_do_not_exist(world: World) -> None:
    owner, stranger = world.caller(), world.caller_of_other_store()
    endpoint = (await owner.post("/v1/webhook_endpoints", {"url": "https://example.com"})).json["id"]
    await owner.invoice()
    delivery = (await owner.get("/v1/deliveries")).json["data"][0]["id"]
    event = (await owner.get("/v1/events")).json["data"][0]["id"]
    for method, path in [
        ("GET", f"/v1/webhook_endpoints/{endpoint}"),
        ("PATCH", f"/v1/webhook_endpoints/{endpoint}"),
        ("DELETE", f"/v1/webhook_endpoints/{endpoint}"),
        ("POST", f"/v1/webhook_endpoints/{endpoint}/ping"),
        ("GET", f"/v1/deliveries/{delivery}"),
        ("POST", f"/v1/deliveries/{delivery}/replay"),
        ("GET", f"/v1/events/{event}"),
        ("GET", f"/v1/stores/{world.shop.store_id}"),
    ]:
        assert (await stranger.send(method, path)).status == 404, path
    for path in ("/v1/invoices", "/v1/webhook_endpoints", "/v1/deliveries", "/v1/events", "/v1/deposits", "/v1/sweeps"):
        assert (await stranger.get(path)).json["data"] == [], path


async def test_unknown_revoked_expired_and_missing_keys_get_the_same_answer(world: World) -> None:
    revoked, expired = world.caller(), world.caller()
    revoke(world, revoked)
    world.shop.database.write(expire, expired)
    secretless = Api(world.app, f"{expired.key}x")
    answers = set()
    for caller in (Api(world.app, None), Api(world.app, "nonsense"), revoked, expired, secretless):
        reply = await caller.get("/v1/invoices")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
        answers.add((reply.status, str({k: v for k, v in reply.json.items() if k != "request_id"})))
    assert len(answers) == 1


async def test_x_api_key_opens_like_a_bearer_token(world: World) -> None:
    key = world.caller().key
    assert key is not None
    reply = await Api(world.app, None).send("GET", "/v1/invoices", headers={"X-Api-Key": key})
    assert reply.status == 200


async def test_the_nodes_key_sees_every_store_and_must_name_one_to_create(world: World) -> None:
    owner = world.caller(of_node=True)
    mine = await world.caller().invoice()
    other = await world.caller_of_other_store().invoice()
    assert {entry["id"] for entry in (await owner.get("/v1/invoices")).json["data"]} == {mine["id"], other["id"]}
    body = {"amount": "1", "currency": "USD"}
    assert (await owner.post("/v1/invoices", body)).problems == {"/store": "required"}
    made = await owner.post("/v1/invoices", {**body, "store": world.other_store_id})
    assert made.json["store"] == world.other_store_id
    assert (await owner.post("/v1/invoices", {**body, "store": "sto_nowhere"})).problems == {"/store": "unknown_store"}


async def test_a_stores_key_cannot_create_for_another_store(world: World) -> None:
    reply = await world.caller().post("/v1/invoices", {"amount": "1", "currency": "USD", "store": world.other_store_id})
    assert reply.problems == {"/store": "unknown_store"}


async def test_last_use_is_noted_once_a_minute(world: World, api: Api) -> None:
    def used_at() -> object:
        return world.shop.database.read(api_keys.all_keys)[-1].last_used_at

    await api.get("/v1/invoices")
    first = used_at()
    assert first == world.clock()
    world.clock.advance(timedelta(seconds=59))
    await api.get("/v1/invoices")
    assert used_at() == first
    world.clock.advance(timedelta(seconds=1))
    await api.get("/v1/invoices")
    assert used_at() == world.clock()


async def test_too_many_bad_keys_from_one_address_are_told_to_wait_and_good_ones_still_served(
    world: World, api: Api
) -> None:
    bad = Api(world.app, "pn_sim_x_y")
    statuses = [(await bad.get("/v1/invoices")).status for _ in range(gate.FAILURES_BURST + 1)]
    assert statuses == [401] * gate.FAILURES_BURST + [429]
    assert int((await bad.get("/v1/invoices")).headers["Retry-After"]) >= 1
    assert (await api.get("/v1/invoices")).status == 200
    assert (await bad.send("GET", "/v1/invoices", peer="192.0.2.2")).status == 401


async def test_forwarded_addresses_of_untrusted_peers_do_not_reset_the_limit(world: World) -> None:
    bad = Api(world.app, "pn_sim_x_y")
    statuses = [
        (await bad.send("GET", "/v1/invoices", headers={"X-Forwarded-For": f"198.51.100.{n}"})).status
        for n in range(gate.FAILURES_BURST + 1)
    ]
    assert statuses[-1] == 429


async def test_every_answer_carries_the_security_headers_and_a_request_id(world: World, api: Api) -> None:
    invoice = await api.invoice()
    replies = [
        await api.get("/v1/invoices"),
        await api.get("/nowhere"),
        await api.send("DELETE", "/v1/invoices"),
        await Api(world.app, None).post(f"/checkout/{invoice['id']}/check"),
        await api.send("OPTIONS", "/v1/invoices"),
        await api.send("HEAD", "/v1/invoices"),
    ]
    for reply in replies:
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Request-Id"].startswith("req_")
    assert len({reply.headers["X-Request-Id"] for reply in replies}) == len(replies)


async def test_other_origins_may_read_public_data_and_nothing_else(world: World, api: Api) -> None:
    invoice = await api.invoice()
    anybody = Api(world.app, None)
    assert (await anybody.get(f"/checkout/{invoice['id']}")).headers["Access-Control-Allow-Origin"] == "*"
    assert (await anybody.get("/v1/status")).headers["Access-Control-Allow-Origin"] == "*"
    chosen = await anybody.post(f"/checkout/{invoice['id']}/methods/sim_usdt")
    for reply in (await api.get("/v1/invoices"), chosen, await api.get(f"/v1/invoices/{invoice['id']}")):
        assert "Access-Control-Allow-Origin" not in reply.headers
        assert "Access-Control-Allow-Credentials" not in reply.headers


async def test_a_wrong_method_is_told_the_right_ones_and_an_unknown_path_nothing(api: Api) -> None:
    wrong = await api.send("DELETE", "/v1/invoices")
    assert wrong.status == 405
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].split(", "))
    assert wrong.json["code"] == "method_not_allowed"
    unknown = await api.get("/v1/nothing")
    assert (unknown.status, unknown.json["code"]) == (404, "not_found")
    assert unknown.headers["Content-Type"] == "application/problem+json"


def revoke(world: World, caller: Api) -> None:
    assert caller.key is not None
    world.shop.database.write(revoke_key, f"key_{caller.key.split('_')[2]}", world.clock())


def expire(tx: Tx, caller: Api) -> None:
    assert caller.key is not None
    tx.run("update api_keys set expires_at = 1 where id = ?", (f"key_{caller.key.split('_')[2]}",))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_a_parameter_that_a_route_does_not_have_is_refused_but_on_links(world: World, route: Route) -> None:
    path = path_of(route, invoice_id=(await world.caller().invoice())["id"], store_id=world.shop.store_id)
    raw = None if route.method in {"GET", "DELETE"} else BODIES.get(route.path, b"{}")
    caller = world.caller(of_node=True)
    plain = await caller.send(route.method, path, raw=raw)
    asked = await caller.send(route.method, f"{path}?nonsense=1", raw=raw)
    if route.path.startswith(gate.LINKS):
        assert asked.status == plain.status
    elif plain.status == 422:  # its form says more
        assert asked.status == 422
    else:
        assert (asked.status, asked.problems) == (422, {"nonsense": "unknown_parameter"})


async def test_a_refused_parameter_leaves_nothing_behind(world: World) -> None:
    caller = world.caller()
    body = {"amount": "1", "currency": "USD"}
    assert (await caller.post("/v1/invoices?provision=true", body)).problems == {"provision": "unknown_parameter"}
    assert (await caller.get("/v1/invoices")).json["data"] == []


async def test_a_payer_who_asks_again_is_only_told_what_changed(world: World, api: Api) -> None:
    path, anybody = f"/checkout/{(await api.invoice())['id']}", Api(world.app, None)
    first = await anybody.get(path)
    world.clock.advance(timedelta(seconds=5))  # the countdown alone is no change
    known = {"If-None-Match": first.headers["ETag"]}
    unchanged = await anybody.send("GET", path, headers=known)
    assert (unchanged.status, unchanged.raw) == (304, b"")
    assert unchanged.headers["Access-Control-Allow-Origin"] == "*"
    await anybody.post(f"{path}/methods/sim_usdt")
    changed = await anybody.send("GET", path, headers=known)
    assert (changed.status, {method["state"] for method in changed.json["methods"]}) == (200, {"active", "offered"})


async def test_private_answers_are_never_kept(api: Api) -> None:
    reply = await api.get("/v1/invoices")
    assert "ETag" not in reply.headers
    assert reply.headers["Cache-Control"] == "no-store"


async def test_each_answer_tells_how_many_requests_are_left(world: World, api: Api) -> None:
    first, second = await api.get("/v1/invoices"), await api.get("/nowhere")
    assert first.headers["RateLimit-Policy"] == f'"key";q={gate.KEY_BURST};w=2'
    assert first.headers["RateLimit"] == f'"key";r={gate.KEY_BURST - 1};t=1'
    assert "RateLimit" not in second.headers
    public = await Api(world.app, None).get("/v1/status")
    assert public.headers["RateLimit"].startswith(f'"address";r={gate.PUBLIC_BURST - 1};')
    refused = await Api(world.app, "pn_sim_x_y").get("/v1/invoices")
    assert refused.headers["RateLimit"].startswith(f'"failures";r={gate.FAILURES_BURST - 1};')


async def test_a_key_that_asks_without_end_is_told_to_wait_and_others_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "KEY_BURST", 3)
    monkeypatch.setattr(gate, "KEY_INTERVAL_SECONDS", 1000)
    app = api_app.create_app(world.node)
    mad, other = Api(app, world.caller().key), Api(app, world.caller().key)
    replies = [await mad.get("/v1/stores") for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert replies[-1].headers["RateLimit"].startswith('"key";r=0;')
    assert 0 < int(replies[-1].headers["Retry-After"]) <= 1000
    assert (await other.get("/v1/stores")).status == 200


async def test_a_shops_own_pages_may_do_what_payers_may_do_and_other_pages_may_not(world: World, api: Api) -> None:
    path, anybody = f"/checkout/{(await api.invoice())['id']}/methods/sim_usdt", Api(world.app, None)
    own, other = {"Origin": "https://shop.example"}, {"Origin": "https://evil.example"}
    asked = await anybody.send("OPTIONS", path, headers=own)
    assert (asked.status, asked.raw) == (204, b"")
    assert asked.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert asked.headers["Access-Control-Allow-Methods"] == "POST"
    assert asked.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert asked.headers["Vary"] == "Origin"
    done = await anybody.send("POST", path, headers=own)
    refused = await anybody.send("POST", path, raw=b"nonsense", headers=own)
    assert (done.status, refused.status) == (200, 400)
    for reply in (done, refused):
        assert reply.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "Access-Control-Allow-Origin" not in (await anybody.send("OPTIONS", path, headers=other)).headers
    nowhere = path.replace(path.split("/")[2], "inv_0000000000000000000000000A")
    assert (await anybody.send("OPTIONS", nowhere, headers=own)).status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://sub.shop.example", "Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_sites_form_issues_no_address_though_a_browser_sends_it_unasked(
    world: World, api: Api, headers: dict[str, str]
) -> None:
    invoice, anybody = await api.invoice(), Api(world.app, None)
    path = f"/checkout/{invoice['id']}"
    for rest in ("methods/sim_usdt", "cancel", "check"):
        refused = await anybody.send("POST", f"{path}/{rest}", headers=headers)
        assert (refused.status, refused.json["code"]) == (403, "foreign_form")
    assert (await anybody.get(f"{path}/addresses")).json["data"] == []
    assert (await anybody.get(path)).json["status"] == "open"
    own = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    for sent in ({}, own, {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}):
        assert (await anybody.send("POST", f"{path}/methods/sim_usdt", headers=sent)).status == 200


async def test_the_other_stores_pages_are_not_the_shops_own(world: World) -> None:
    invoice = await world.caller_of_other_store().invoice()
    path = f"/checkout/{invoice['id']}/check"
    asked = await Api(world.app, None).send("OPTIONS", path, headers={"Origin": "https://shop.example"})
    assert "Access-Control-Allow-Origin" not in asked.headers


async def test_options_tell_the_methods_of_a_path(api: Api) -> None:
    reply = await api.send("OPTIONS", "/v1/invoices")
    assert (reply.status, set(reply.headers["Allow"].split(", "))) == (200, {"GET", "HEAD", "OPTIONS", "POST"})
