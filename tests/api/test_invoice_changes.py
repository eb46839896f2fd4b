"""PATCH, archive, delete, and a payer's cancellation, over HTTP."""

import json
from typing import Any

import pytest
from tests.api.conftest import Api, Reply, World


async def patch(api: Api, invoice_id: str, body: Any) -> Reply:
    return await api.send("PATCH", f"/v1/invoices/{invoice_id}", raw=json.dumps(body).encode())


async def test_what_is_named_changes_and_the_rest_stays(api: Api) -> None:
    invoice = await api.invoice(name="one", customer="c", metadata={"a": "1"}, language="de")
    changes = {
        "name": "two",
        "description": "more",
        "order_id": "7",
        "customer": None,
        "metadata": {"b": "2"},
        "language": "fr-CA",
        "success_url": "https://shop.example/ok",
        "fail_url": None,
    }
    changed = (await patch(api, invoice["id"], changes)).json
    shown = {**changes, "metadata": {"a": "1", "b": "2"}, "language": "fr"}
    assert {name: changed[name] for name in changes} == shown
    assert changed == {**invoice, **shown}
    assert (await patch(api, invoice["id"], {})).json == changed
    assert (await patch(api, invoice["id"], {"metadata": {"a": ""}})).json["metadata"] == {"b": "2"}
    assert (await patch(api, invoice["id"], {"metadata": {"b": None, "c": "3"}})).json["metadata"] == {"c": "3"}
    assert (await patch(api, invoice["id"], {"metadata": None})).json["metadata"] == {}


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"amount": "1"}, "/amount", "unknown_field"),
        ({"methods": ["sim_usdt"]}, "/methods", "unknown_field"),
        ({"name": "x" * 201}, "/name", "invalid_value"),
        ({"success_url": "javascript:alert(1)"}, "/success_url", "invalid_value"),
        ({"metadata": {"a": 1, "b": "2"}}, "/metadata/a", "invalid_value"),
        ({"language": "xx"}, "/language", "unknown_language"),
        ({"expires_in": "5s"}, "/expires_in", "out_of_range"),
        ({"expires_in": 60, "valid_for": "60s"}, "/valid_for", "conflicting"),
    ],
)
async def test_what_cannot_change_is_refused_by_field(
    api: Api, changes: dict[str, Any], pointer: str, code: str
) -> None:
    invoice = await api.invoice()
    reply = await patch(api, invoice["id"], changes)
    assert (reply.status, reply.problems) == (422, {pointer: code})
    assert (await api.get(f"/v1/invoices/{invoice['id']}")).json == invoice


async def test_the_deadline_moves_while_the_invoice_is_open(api: Api) -> None:
    invoice = await api.invoice()
    assert (await patch(api, invoice["id"], {"valid_for": "2h45m"})).json["expires_in"] == 9900
    await api.post(f"/v1/invoices/{invoice['id']}/cancel")
    refused = await patch(api, invoice["id"], {"expires_in": 900})
    assert (refused.status, refused.json["code"]) == (409, "invoice_cancelled")
    assert (await patch(api, invoice["id"], {"name": "still"})).json["name"] == "still"


async def test_an_invoice_goes_out_of_sight_and_comes_back(api: Api) -> None:
    path = f"/v1/invoices/{(await api.invoice())['id']}"
    assert [(await api.post(f"{path}/{how}")).json["archived"] for how in ("archive", "unarchive")] == [True, False]


async def test_an_invoice_is_deleted_unless_it_had_an_address(world: World, api: Api) -> None:
    unused, used = await api.invoice(), await api.invoice(provision=True)
    gone = await api.send("DELETE", f"/v1/invoices/{unused['id']}")
    assert (gone.status, gone.raw) == (204, b"")
    assert (await api.get(f"/v1/invoices/{unused['id']}")).status == 404
    assert (await Api(world.app, None).get(f"/checkout/{unused['id']}")).status == 404
    refused = await api.send("DELETE", f"/v1/invoices/{used['id']}")
    assert (refused.status, refused.json["code"]) == (409, "invoice_in_use")
    told = (await api.get("/v1/events", subject=unused["id"])).json["data"]
    assert [event["type"] for event in told] == ["invoice.deleted", "invoice.created"]


async def test_another_stores_invoice_is_not_there_to_change(world: World, api: Api) -> None:
    invoice_id, other = (await api.invoice())["id"], world.caller_of_other_store()
    assert (await patch(other, invoice_id, {"name": "mine"})).status == 404
    assert (await other.send("DELETE", f"/v1/invoices/{invoice_id}")).status == 404
    for how in ("archive", "unarchive"):
        assert (await other.post(f"/v1/invoices/{invoice_id}/{how}")).status == 404


async def test_a_payer_cancels_only_where_the_store_allows_it(world: World, api: Api) -> None:
    invoice = await api.invoice()
    payer, path = Api(world.app, None), f"/checkout/{invoice['id']}"
    assert (await payer.get(path)).json["may_cancel"] is False
    refused = await payer.post(f"{path}/cancel")
    assert (refused.status, refused.json["code"]) == (409, "cancel_not_allowed")
    allowed = await world.caller_of_other_store().invoice()  # whose config says so
    path = f"/checkout/{allowed['id']}"
    assert (await payer.get(path)).json["may_cancel"] is True
    cancelled = (await payer.post(f"{path}/cancel")).json
    assert (cancelled["status"], cancelled["may_cancel"]) == ("cancelled", False)


async def test_lists_follow_every_change(api: Api) -> None:
    changed, deleted = await api.invoice(name="aubergine"), await api.invoice(name="courgette")

    async def found(**query: str) -> list[str]:
        page = (await api.get("/v1/invoices", include="total", **query)).json
        assert page["total"] == len(page["data"])
        return [entry["id"] for entry in page["data"]]

    await patch(api, changed["id"], {"name": "okra", "metadata": {"shelf": "quince"}, "order_id": "77"})
    assert await found(q="aubergine") == []
    assert await found(q="okra") == await found(q="quince") == await found(order_id="77") == [changed["id"]]
    assert await found(q="courgette") == [deleted["id"]]
    await api.send("DELETE", f"/v1/invoices/{deleted['id']}")
    assert await found(q="courgette") == []
    assert await found() == [changed["id"]]
    await api.post(f"/v1/invoices/{changed['id']}/archive")
    assert await found() == []
    assert await found(archived="true") == [changed["id"]]
