"""Screening over HTTP: what is kept back is shown to its merchant, never to its payer, and released with a note."""

import json
from dataclasses import replace

from tests.api.conftest import Api, World
from tests.api.test_deposits import arrive

from paynode.domain.screening import Verdict
from paynode.store import deposits
from paynode.store.database import Tx

NOTE = {"note": "checked with the customer"}


def found_to_be(tx: Tx, deposit_id: str, verdict: Verdict) -> None:
    """Let a deposit have a verdict, and nothing else."""
    record = deposits.placed(tx, deposit_id).deposit
    deposits.save(tx, replace(record, screening=verdict, is_held=verdict is Verdict.FLAGGED))


async def flagged(world: World, api: Api) -> tuple[str, str]:
    """The ids of an invoice and of its deposit, which is flagged."""
    invoice = await api.invoice(methods=["sim_usdt"], provision=True)
    arrive(world, invoice["methods"][0]["address"], "sim_usdt")
    [shown] = (await api.get("/v1/deposits", invoice=invoice["id"])).json["data"]
    world.shop.database.write(found_to_be, shown["id"], Verdict.FLAGGED)
    return invoice["id"], shown["id"]


async def test_what_is_kept_back_is_released_with_a_note_and_once(world: World, api: Api) -> None:
    invoice_id, deposit_id = await flagged(world, api)
    path = f"/v1/deposits/{deposit_id}"
    shown = (await api.get(path)).json
    assert (shown["screening"], shown["held"], shown["released_at"]) == ("flagged", True, None)
    released = await api.post(f"{path}/release", NOTE)
    assert released.status == 200
    assert (released.json["screening"], released.json["held"], released.json["release_note"]) == (
        "released",
        False,
        NOTE["note"],
    )
    assert released.json == (await api.get(path)).json == (await api.post(f"{path}/release", NOTE)).json
    assert (await api.get(f"/v1/invoices/{invoice_id}")).json["screening"] == "passed"
    [event] = (await api.get("/v1/events", type="screening.released")).json["data"]
    assert event["data"]["object"]["release_note"] == NOTE["note"]


async def test_deposits_are_listed_by_what_is_known_of_their_senders(world: World, api: Api) -> None:
    _, deposit_id = await flagged(world, api)

    async def found(**query: str) -> bool:
        return [each["id"] for each in (await api.get("/v1/deposits", **query)).json["data"]] == [deposit_id]

    assert await found(screening="flagged", held="true")
    assert not await found(screening="clear,pending,not_screened")
    await api.post(f"/v1/deposits/{deposit_id}/release", NOTE)
    assert await found(screening="clear")
    assert await found(screening="released", held="false")
    assert not await found(screening="passed")
    assert (await api.get("/v1/deposits", screening="bad")).status == 422


async def test_nobody_releases_without_a_reason_a_scope_or_a_hold(world: World, api: Api) -> None:
    _, deposit_id = await flagged(world, api)
    path = f"/v1/deposits/{deposit_id}/release"
    assert list((await api.post(path, {})).problems) == ["/note"]
    assert list((await api.post(path, {"note": ""})).problems) == ["/note"]
    assert (await world.caller("deposits:read").post(path, NOTE)).json["code"] == "forbidden"
    assert (await world.caller_of_other_store().post(path, NOTE)).status == 404
    world.shop.database.write(found_to_be, deposit_id, Verdict.PASSED)
    refused = await api.post(path, NOTE)
    assert (refused.status, refused.json["code"]) == (409, "deposit_not_held")


async def test_a_payer_learns_nothing_of_screening(world: World, api: Api) -> None:
    invoice_id, _ = await flagged(world, api)
    shown = (await Api(world.app, None).get(f"/checkout/{invoice_id}")).json
    assert "screen" not in json.dumps(shown)
    assert "held" not in json.dumps(shown)


async def test_the_nodes_owner_sees_how_screening_is(world: World) -> None:
    owner = world.caller("node:read", of_node=True)
    assert (await owner.get("/v1/node")).json["screening"] == {"object": "screening", "state": "ok", "lists": []}
