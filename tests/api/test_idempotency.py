"""Doing a request once, however often it is sent (I20)."""

import pytest
import trio
from tests.api.conftest import Api, Reply, World

BODY = {"amount": "5", "currency": "USD"}


async def test_fifty_at_once_with_one_key_make_one_invoice(api: Api) -> None:
    replies: list[Reply] = []

    async def create() -> None:
        replies.append(await api.post("/v1/invoices", BODY, named="order-1"))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(create)
    assert {reply.status for reply in replies} == {201}
    assert len({reply.raw for reply in replies}) == 1
    assert [reply.headers.get("Idempotent-Replayed") for reply in replies].count("true") == 49
    assert len((await api.get("/v1/invoices")).json["data"]) == 1


async def test_the_same_key_with_another_body_or_path_is_refused(api: Api) -> None:
    invoice = (await api.post("/v1/invoices", BODY, named="order-1")).json
    for path, body in [("/v1/invoices", {**BODY, "name": "x"}), (f"/v1/invoices/{invoice['id']}/cancel", BODY)]:
        reply = await api.post(path, body, named="order-1")
        assert reply.status == 422
    other = await api.post("/v1/invoices", {**BODY, "name": "x"}, named="order-1")
    assert other.problems == {"Idempotency-Key": "idempotency_key_reused"}


async def test_another_stores_key_of_the_same_name_is_another(world: World, api: Api) -> None:
    first = await api.post("/v1/invoices", BODY, named="order-1")
    second = await world.caller_of_other_store().post("/v1/invoices", BODY, named="order-1")
    assert first.json["id"] != second.json["id"]


async def test_two_keys_of_a_store_share_its_names(world: World, api: Api) -> None:
    first = await api.post("/v1/invoices", BODY, named="order-1")
    second = await world.caller().post("/v1/invoices", BODY, named="order-1")
    assert first.raw == second.raw


async def test_what_was_refused_may_be_sent_again_under_its_name(api: Api) -> None:
    assert (await api.post("/v1/invoices", {**BODY, "currency": "EUR"}, named="order-1")).status == 503
    assert (await api.post("/v1/invoices", BODY, named="order-1")).status == 201


async def test_a_replay_does_not_show_the_secret_again(api: Api) -> None:
    body = {"url": "https://shop.example/hook"}
    first = await api.post("/v1/webhook_endpoints", body, named="hook")
    again = await api.post("/v1/webhook_endpoints", body, named="hook")
    assert first.json.pop("secret").startswith("whsec_")
    assert "secret" not in again.json
    assert again.json == {key: value for key, value in first.json.items() if key != "secret"}
    assert again.status == 201


async def test_a_replayed_rotation_rotates_once_and_does_not_show_the_secret_again(api: Api) -> None:
    made = (await api.post("/v1/webhook_endpoints", {"url": "https://shop.example/hook"})).json
    path = f"/v1/webhook_endpoints/{made['id']}/rotate_secret"
    first = await api.post(path, named="rotate")
    again = await api.post(path, named="rotate")
    assert first.status == again.status == 200
    assert made["old_secret_expires_at"] is None
    assert first.json["old_secret_expires_at"] == "2026-01-02T00:00:00.000Z"
    assert first.json["secret"] != made["secret"]
    assert {**again.json, "secret": first.json["secret"]} == first.json
    assert again.json == (await api.get(f"/v1/webhook_endpoints/{made['id']}")).json


async def test_an_action_of_the_simulation_is_done_once_too(world: World, api: Api) -> None:
    async def mine() -> None:
        assert (await api.post("/v1/test/mine", {"blocks": 3}, named="m")).json == {"object": "mined", "blocks": 3}

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(mine)
    assert world.simulation.asked == [("mine", 3)]
    assert (await api.post("/v1/test/mine", {"blocks": 4}, named="m")).status == 422


@pytest.mark.parametrize("name", ["", "x" * 256, "caf\xe9", "a\x7fb"])
async def test_a_name_that_is_not_printable_ascii_is_refused(api: Api, name: str) -> None:
    reply = await api.post("/v1/invoices", BODY, named=name)
    assert (reply.status, reply.json["code"]) == (400, "malformed_request")
