"""Callbacks and webhook endpoints through the API: what is taken, what is shown, what is never shown."""

from datetime import timedelta
from typing import Any

import pytest
from tests.api.conftest import Api, World
from tests.lab.shop import NOW

from paynode.operations.outflows import pause
from paynode.store import callbacks, outbox

URL = "https://shop.example/paid"
SECRET = "a secret that nobody sees"


async def with_callback(api: Api, **fields: object) -> Any:
    return await api.invoice(callback_url=URL, **fields)


async def test_an_invoice_shows_its_callback_to_the_merchant_without_the_secret(world: World, api: Api) -> None:
    invoice = await with_callback(api, callback_secret=SECRET, callback_retries=20, callback_echo_secret=True)
    assert (invoice["callback_url"], invoice["callback_retries"]) == (URL, 20)
    path = f"/v1/invoices/{invoice['id']}"
    assert (await api.get(path)).json == invoice
    public = await Api(world.app, None).get(f"/checkout/{invoice['id']}")
    assert "callback" not in public.raw.decode()
    replies = [await api.get(path + rest) for rest in ("", "/events", "/deliveries")]
    replies += [await api.get("/v1/events"), await api.get("/v1/deliveries"), await api.get("/v1/invoices")]
    assert [reply.status for reply in replies] == [200] * 6
    assert [reply for reply in [*replies, public] if SECRET in reply.raw.decode()] == []


async def test_an_invoice_without_a_callback_says_so(api: Api) -> None:
    invoice = await api.invoice()
    assert (invoice["callback_url"], invoice["callback_retries"]) == (None, None)


async def test_a_callbacks_deliveries_are_listed_like_any_other_and_replayed(api: Api) -> None:
    endpoint = (await api.post("/v1/webhook_endpoints", {"url": URL})).json
    invoice, other = await with_callback(api), await api.invoice()
    of_invoice = (await api.get(f"/v1/invoices/{invoice['id']}/deliveries")).json["data"]
    assert {(one["endpoint"], one["callback_of"], one["url"]) for one in of_invoice} == {
        (endpoint["id"], None, URL),
        (None, invoice["id"], URL),
    }
    everywhere = (await api.get("/v1/deliveries")).json["data"]
    assert len(everywhere) == 3
    assert (await api.get("/v1/deliveries", invoice=invoice["id"])).json["data"] == of_invoice
    to_endpoint = (await api.get("/v1/deliveries", endpoint=endpoint["id"], invoice=other["id"])).json["data"]
    assert [one["callback_of"] for one in to_endpoint] == [None]
    assert len((await api.get("/v1/deliveries", type="invoice.created", state="due")).json["data"]) == 3
    assert (await api.get("/v1/deliveries", type="invoice.paid")).json["data"] == []
    callback = next(one for one in of_invoice if one["callback_of"])
    assert (await api.post(f"/v1/deliveries/{callback['id']}/replay")).json["state"] == "due"


async def test_a_stores_callback_secret_is_shown_once(world: World, api: Api) -> None:
    path = f"/v1/stores/{world.shop.store_id}/rotate_callback_secret"
    first = await api.post(path, named="rotate")
    assert first.json["secret"].startswith("whsec_")
    assert first.json["old_secret_expires_at"] is None
    again = await api.post(path, named="rotate")
    assert "secret" not in again.json
    second = (await api.post(path, {"secret": "whsec_" + "YWJj" * 10})).json
    assert second["secret"] == "whsec_" + "YWJj" * 10
    assert second["old_secret_expires_at"] == "2026-01-02T00:00:00.000Z"
    stored = world.shop.database.read(callbacks.secret_of_store, world.shop.store_id)
    assert stored is not None
    assert stored.old_secret == first.json["secret"]
    assert (await world.caller_of_other_store().post(path)).status == 404


async def test_an_endpoint_may_ask_for_a_hex_signature_with_any_secret(api: Api) -> None:
    made = (await api.post("/v1/webhook_endpoints", {"url": URL, "signature_format": "hex", "secret": "any"})).json
    assert (made["signature_format"], made["secret"]) == ("hex", "any")
    path = f"/v1/webhook_endpoints/{made['id']}"
    assert (await api.send("PATCH", path, raw=b'{"signature_format": "standard"}')).json[
        "signature_format"
    ] == "standard"
    assert (await api.send("PATCH", path, raw=b'{"signature_format": "md5"}')).problems == {
        "/signature_format": "unknown_value"
    }
    refused = await api.post("/v1/webhook_endpoints", {"url": URL, "secret": "any"})
    assert refused.problems == {"/secret": "malformed_secret"}


async def test_a_disabled_endpoint_is_enabled_and_told_what_it_missed(world: World, api: Api) -> None:
    endpoint = (await api.post("/v1/webhook_endpoints", {"url": URL, "events": ["invoice.*"]})).json
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    await api.send("PATCH", path, raw=b'{"state": "disabled"}')
    await api.invoice()
    span = {"created_after": "2025-12-31T23:59:59Z", "only_failed": True}
    world.clock.advance(timedelta(minutes=5))
    assert (await api.post(f"{path}/replay", span)).json["code"] == "endpoint_disabled"
    assert (await api.post(f"{path}/enable")).json["state"] == "enabled"
    assert (await api.post(f"{path}/replay", span)).json == {
        "object": "replay",
        "endpoint": endpoint["id"],
        "count": 1,
        "has_more": False,
        "next_cursor": None,
    }
    [missed] = (await api.get("/v1/deliveries", endpoint=endpoint["id"])).json["data"]
    event = world.shop.database.read(outbox.event, missed["event"])
    assert event is not None
    assert event.type == "invoice.created"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/created_after"),
        ({"created_after": "yesterday"}, "/created_after"),
        ({"created_after": "2026-01-01T00:00:00"}, "/created_after"),
        ({"created_after": "2026-01-01T00:00:00Z", "starting_after": "evt_1"}, "/starting_after"),
        ({"created_after": "2026-01-01T00:00:00Z", "only_failed": "yes"}, "/only_failed"),
    ],
)
async def test_a_span_that_cannot_be_is_refused(api: Api, body: object, pointer: str) -> None:
    endpoint = (await api.post("/v1/webhook_endpoints", {"url": URL})).json
    reply = await api.post(f"/v1/webhook_endpoints/{endpoint['id']}/replay", body)
    assert (reply.status, list(reply.problems)) == (422, [pointer])


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
async def test_no_moment_is_too_odd_to_ask_for(api: Api, moment: str) -> None:
    endpoint = (await api.post("/v1/webhook_endpoints", {"url": URL})).json
    span = {"created_after": moment, "created_before": moment}
    assert (await api.post(f"/v1/webhook_endpoints/{endpoint['id']}/replay", span)).json["count"] == 0
    for name in ("events", "invoices", "deposits", "sweeps", "ledger"):
        assert (await api.get(f"/v1/{name}", **span)).json["data"] == []


async def test_a_list_goes_on_from_any_id_however_late(api: Api) -> None:
    await api.invoice()
    latest = f"inv_7{25 * 'Z'}"
    assert (await api.get("/v1/invoices", ending_before=latest)).json["data"] == []
    assert len((await api.get("/v1/invoices", starting_after=latest)).json["data"]) == 1


async def test_events_are_listed_by_when_they_happened(world: World, api: Api) -> None:
    for _ in range(3):
        await api.invoice()
        world.clock.advance(timedelta(hours=1))
    first, second, third = (await api.get("/v1/events", sort="created_at")).json["data"]
    assert (await api.get("/v1/events", created_after=first["created_at"])).json["data"] == [third, second]
    assert (await api.get("/v1/events", created_before=third["created_at"])).json["data"] == [second, first]
    between = {"created_after": first["created_at"], "created_before": third["created_at"]}
    assert (await api.get("/v1/events", **between)).json["data"] == [second]


async def test_a_store_lists_what_happened_to_it_and_to_the_node(world: World, api: Api) -> None:
    await world.caller_of_other_store().invoice()
    await api.invoice()
    world.shop.database.write(pause, world.shop.catalogue, "sim", "", "a test", NOW)
    await api.invoice()
    everything = (await world.caller(of_node=True).get("/v1/events", sort="created_at")).json["data"]
    assert [event["type"] for event in everything] == [
        "invoice.created",
        "invoice.created",
        "outflows.paused",
        "invoice.created",
    ]
    mine = (await api.get("/v1/events", sort="created_at")).json["data"]
    assert mine == everything[1:]
    assert (await api.get("/v1/events", limit="2", starting_after=mine[2]["id"])).json["data"] == mine[1::-1]
    assert (await api.get("/v1/events", type="outflows.paused")).json["data"] == [mine[1]]
    assert (await api.get("/v1/events", subject=mine[1]["subject"])).json["data"] == [mine[1]]
    assert (await api.get("/v1/events", subject=everything[0]["subject"])).json["data"] == []
