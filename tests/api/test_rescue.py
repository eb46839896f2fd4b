"""Asking the node to look again over HTTP: by the merchant and by the payer, so many times an hour."""

from datetime import timedelta
from typing import Any

import pytest
from tests.api.conftest import Api, World

from paynode.domain.rescue import ALLOWANCES, Asker

HASH = "0x" + "ab" * 32


async def made(api: Api) -> str:
    invoice = await api.invoice(methods=["sim_usdt"], provision=True)
    return str(invoice["id"])


def askers(world: World) -> dict[Asker, tuple[Api, str]]:
    """Who asks, and where."""
    return {Asker.MERCHANT: (world.caller(), "/v1/invoices"), Asker.PAYER: (Api(world.app, None), "/checkout")}


@pytest.mark.parametrize("asker", Asker)
async def test_a_check_tells_where_it_looks_from_which_block_on_and_until_when(
    world: World, api: Api, asker: Asker
) -> None:
    invoice_id = await made(api)
    caller, path = askers(world)[asker]
    world.clock.advance(timedelta(days=40))
    reply = await caller.post(f"{path}/{invoice_id}/check")
    assert (reply.status, reply.json["object"], reply.json["invoice"]) == (202, "check", invoice_id)
    [network] = reply.json["networks"]
    assert (network["network"], network["since_block"]) == ("sim", 10)
    watched = {Asker.MERCHANT: "2026-02-11T00:00:00.000Z", Asker.PAYER: "2026-02-10T01:00:00.000Z"}
    assert network["watched_until"] == watched[asker]


@pytest.mark.parametrize("asker", Asker)
async def test_a_claim_is_accepted_and_shows_what_came_of_it(world: World, api: Api, asker: Asker) -> None:
    invoice_id = await made(api)
    caller, path = askers(world)[asker]
    reply = await caller.post(f"{path}/{invoice_id}/claim", {"tx_hash": HASH.upper().replace("X", "x")})
    assert (reply.status, reply.json["state"], reply.json["tx_hash"]) == (202, "pending", HASH)
    assert reply.json["networks"] == [{"network": "sim", "answer": None, "reason": None}]
    listed = await caller.get(f"{path}/{invoice_id}/claims")
    assert listed.json["data"] == [reply.json]


async def test_claims_are_listed_page_by_page(world: World, api: Api) -> None:
    invoice_id = await made(api)
    hashes = [f"0x{number:064x}" for number in range(3)]
    for tx_hash in hashes:
        world.clock.advance(timedelta(seconds=1))
        await api.post(f"/v1/invoices/{invoice_id}/claim", {"tx_hash": tx_hash})
    newest = (await api.get(f"/v1/invoices/{invoice_id}/claims", limit="2")).json
    assert [claim["tx_hash"] for claim in newest["data"]] == [hashes[2], hashes[1]]
    assert newest["has_more"]
    path = f"/checkout/{invoice_id}/claims"
    oldest = (await Api(world.app, None).get(path, starting_after=newest["next_cursor"])).json
    assert [claim["tx_hash"] for claim in oldest["data"]] == [hashes[0]]


@pytest.mark.parametrize("asker", Asker)
async def test_asking_too_often_tells_how_long_to_wait(world: World, api: Api, asker: Asker) -> None:
    invoice_id = await made(api)
    caller, path = askers(world)[asker]
    for _ in range(ALLOWANCES[asker].checks_per_hour):
        assert (await caller.post(f"{path}/{invoice_id}/check")).status == 202
    refused = await caller.post(f"{path}/{invoice_id}/check")
    assert (refused.status, refused.json["code"]) == (429, "too_many_requests")
    assert refused.headers["Retry-After"] == "3600"


async def test_the_same_claim_under_one_key_is_counted_once(world: World, api: Api) -> None:
    invoice_id = await made(api)
    path = f"/v1/invoices/{invoice_id}/claim"
    first = await api.post(path, {"tx_hash": HASH}, named="claim-1")
    for _ in range(ALLOWANCES[Asker.MERCHANT].claims_per_hour + 1):
        again = await api.post(path, {"tx_hash": HASH}, named="claim-1")
        assert (again.status, again.json) == (202, first.json)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/tx_hash"),
        ({"tx_hash": "0x12"}, "/tx_hash"),
        ({"tx_hash": 5}, "/tx_hash"),
        ({"tx_hash": f"0x{'٣' * 64}"}, "/tx_hash"),
        ({"tx_hash": HASH, "network": "eth"}, "/network"),
        ({"tx_hash": HASH, "invoice": "inv_1"}, "/invoice"),
    ],
)
async def test_a_claim_that_cannot_be_is_refused(api: Api, body: Any, pointer: str) -> None:
    invoice_id = await made(api)
    assert list((await api.post(f"/v1/invoices/{invoice_id}/claim", body)).problems) == [pointer]


async def test_nobody_asks_about_what_is_not_theirs_or_not_there(world: World, api: Api) -> None:
    invoice_id = await made(api)
    stranger = world.caller_of_other_store()
    assert (await stranger.post(f"/v1/invoices/{invoice_id}/check")).status == 404
    assert (await stranger.post(f"/v1/invoices/{invoice_id}/claim", {"tx_hash": HASH})).status == 404
    assert (await stranger.get(f"/v1/invoices/{invoice_id}/claims")).status == 404
    payer = Api(world.app, None)
    assert (await payer.post("/checkout/inv_01JZ8Q4M9C3V5T7X1B2D4F6H8K/check")).status == 404
    unpaid = await api.invoice(methods=["sim_usdt"])
    assert (await payer.post(f"/checkout/{unpaid['id']}/check")).json["code"] == "no_address"
