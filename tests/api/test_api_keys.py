"""API keys over the API: no key makes one that can do more than itself."""

from datetime import timedelta
from typing import Any

import pytest
from tests.api.conftest import Api, World

from paynode.domain.scopes import DEFAULT_SCOPES, PRESETS, STORE_SCOPES

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.9"


async def made(caller: Api, **fields: object) -> Any:
    reply = await caller.post("/v1/api_keys", fields)
    assert reply.status == 201, reply.raw
    return reply.json


def with_key(world: World, made_key: Any) -> Api:
    return Api(world.app, made_key["key"])


async def status(caller: Api, peer: str = HERE) -> int:
    return (await caller.send("GET", "/v1/api_keys/current", peer=peer)).status


async def test_a_new_key_works_and_its_text_is_told_once(world: World, api: Api) -> None:
    key = await made(api, name="till 3", preset="till")
    assert key["key"].startswith("pn_sim_")
    assert set(key["scopes"]) == PRESETS["till"]
    till = with_key(world, key)
    _, seen = [(await till.get("/v1/api_keys/current")).json for _ in range(2)]
    assert seen == {
        **{name: value for name, value in key.items() if name != "key"},
        "last_used_at": seen["last_used_at"],
    }
    assert seen["last_used_at"] is not None
    assert (await till.get("/v1/deposits")).status == 403
    listed = (await api.get("/v1/api_keys")).json["data"]
    assert key["id"] in {each["id"] for each in listed}
    assert not any("key" in each for each in listed)


async def test_a_key_has_the_scopes_of_a_shop_unless_told_otherwise(api: Api) -> None:
    assert set((await made(api))["scopes"]) == DEFAULT_SCOPES
    assert (await made(api, scopes=["rates:read"]))["scopes"] == ["rates:read"]


async def test_a_repeated_request_makes_one_key_and_does_not_tell_it_again(api: Api) -> None:
    first, again = [await api.post("/v1/api_keys", {"name": "one"}, named="once") for _ in range(2)]
    assert "key" in first.json
    assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json == {name: value for name, value in first.json.items() if name != "key"}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"scopes": ["money:all"]}, {"/scopes": "unknown_scope"}),
        ({"scopes": ["node:read"]}, {"/scopes": "unknown_scope"}),
        ({"scopes": ["rates:read"], "preset": "till"}, {"/preset": "conflicting"}),
        ({"preset": "god"}, {"/preset": "unknown_value"}),
        ({"scopes": []}, {"/scopes": "invalid_value"}),
        ({"allowed_ips": ["203.0.113.7", "203.0.113.7/24"]}, {"/allowed_ips/1": "not_a_range"}),
        ({"allowed_ips": ["localhost"]}, {"/allowed_ips/0": "not_a_range"}),
        ({"allowed_ips": ["fe80::%eth0/64"]}, {"/allowed_ips/0": "not_a_range"}),
        ({"allowed_ips": ["2001:db8::%x 198.51.100.7 /32"]}, {"/allowed_ips/0": "not_a_range"}),  # three, once split
        ({"expires_in": "soon"}, {"/expires_in": "not_a_duration"}),
        ({"expires_in": 0}, {"/expires_in": "out_of_range"}),
        ({"store": "sto_nobodys"}, {"/store": "unknown_store"}),
    ],
)
async def test_what_cannot_be_is_refused_by_field(api: Api, fields: dict[str, object], problem: dict[str, str]) -> None:
    reply = await api.post("/v1/api_keys", fields)
    assert (reply.status, reply.problems) == (422, problem)


async def test_a_key_expires(world: World, api: Api) -> None:
    brief = with_key(world, await made(api, expires_in="1h"))
    world.clock.advance(timedelta(minutes=59))
    assert await status(brief) == 200
    world.clock.advance(timedelta(minutes=1))
    assert await status(brief) == 401


async def test_a_key_works_only_from_where_it_may(world: World, api: Api) -> None:
    key = await made(api, allowed_ips=["192.0.2.0/24", "2001:db8::1"])
    assert key["allowed_ips"] == ["192.0.2.0/24", "2001:db8::1/128"]
    bound = with_key(world, key)
    assert [await status(bound, peer) for peer in (HERE, "2001:db8::1", ELSEWHERE, "2001:db8::2")] == [
        200,
        200,
        403,
        403,
    ]
    refused = await bound.send("GET", "/v1/api_keys/current", peer=ELSEWHERE)
    assert refused.json["code"] == "address_not_allowed"


async def test_no_key_makes_one_that_can_do_more_than_itself(world: World, api: Api) -> None:
    maker = with_key(
        world,
        await made(api, scopes=["api_keys:write", "rates:read"], allowed_ips=["192.0.2.0/28"], expires_in="10h"),
    )
    refused = await maker.post("/v1/api_keys", {"scopes": ["rates:read", "invoices:write"]})
    assert refused.problems == {"/scopes": "not_held", "/allowed_ips": "not_held", "/expires_in": "not_held"}
    within = {"scopes": ["rates:read"], "allowed_ips": ["192.0.2.8/29"], "expires_in": "9h"}
    assert (await made(maker, **within))["allowed_ips"] == ["192.0.2.8/29"]
    wider = await maker.post("/v1/api_keys", {**within, "allowed_ips": ["192.0.2.0/24"]})
    assert wider.problems == {"/allowed_ips": "not_held"}


async def test_a_rotated_key_works_beside_the_new_one_until_the_overlap_is_over(world: World, api: Api) -> None:
    old = await made(api, name="shop", preset="till", allowed_ips=[HERE])
    reply = await api.post(f"/v1/api_keys/{old['id']}/rotate", {"overlap": "2h"})
    assert reply.status == 201
    new = reply.json
    same = ("store", "name", "scopes", "allowed_ips", "expires_at")
    assert [new[name] for name in same] == [old[name] for name in same]
    world.clock.advance(timedelta(minutes=119))
    assert [await status(with_key(world, each)) for each in (old, new)] == [200, 200]
    world.clock.advance(timedelta(minutes=1))
    assert [await status(with_key(world, each)) for each in (old, new)] == [401, 200]
    (seen,) = [each for each in (await api.get("/v1/api_keys")).json["data"] if each["id"] == old["id"]]
    assert (seen["state"], seen["replaced_by"]) == ("expired", new["id"])
    again = await api.post(f"/v1/api_keys/{old['id']}/rotate")
    assert (again.status, again.json["code"]) == (409, "key_not_in_force")


async def test_a_key_is_rotated_once_and_without_overlap_ends_at_once(world: World, api: Api) -> None:
    old = await made(api)
    first = await api.post(f"/v1/api_keys/{old['id']}/rotate")
    second = await api.post(f"/v1/api_keys/{old['id']}/rotate")
    assert (first.status, second.status, second.json["code"]) == (201, 409, "key_rotated")
    assert [error["resource"] for error in second.json["errors"]] == [first.json["id"]]
    reply = await api.post(f"/v1/api_keys/{first.json['id']}/rotate", {"overlap": 0})
    assert reply.status == 201
    assert await status(with_key(world, first.json)) == 401
    too_long = await api.post(f"/v1/api_keys/{reply.json['id']}/rotate", {"overlap": "31d"})
    assert too_long.problems == {"/overlap": "out_of_range"}


async def test_only_a_key_that_can_as_much_rotates_another_one(world: World, api: Api) -> None:
    strong = await made(api, preset="full")
    weak = with_key(world, await made(api, scopes=["api_keys:write"]))
    refused = await weak.post(f"/v1/api_keys/{strong['id']}/rotate")
    assert (refused.status, refused.json["code"]) == (409, "key_can_more")
    itself = await with_key(world, strong).post(f"/v1/api_keys/{strong['id']}/rotate")
    assert itself.status == 201


async def test_a_revoked_key_is_over_and_revoking_it_again_changes_nothing(world: World, api: Api) -> None:
    key = await made(api)
    first = await api.send("DELETE", f"/v1/api_keys/{key['id']}")
    world.clock.advance(timedelta(hours=1))
    again = await api.send("DELETE", f"/v1/api_keys/{key['id']}")
    assert first.json == again.json
    assert (first.json["state"], await status(with_key(world, key))) == ("revoked", 401)


async def test_another_stores_keys_and_the_nodes_do_not_exist(world: World, api: Api) -> None:
    theirs = await made(world.caller_of_other_store())
    of_node = (await world.caller(of_node=True).get("/v1/api_keys/current")).json
    assert of_node["store"] is None
    for key in (theirs, of_node):
        assert (await api.send("DELETE", f"/v1/api_keys/{key['id']}")).status == 404
        assert (await api.post(f"/v1/api_keys/{key['id']}/rotate")).status == 404
        assert key["id"] not in {each["id"] for each in (await api.get("/v1/api_keys")).json["data"]}


async def test_the_nodes_key_makes_keys_of_stores_and_never_one_of_the_node(world: World) -> None:
    owner = world.caller(of_node=True)
    key = await made(owner, store=world.other_store_id, scopes=sorted(STORE_SCOPES))
    assert key["store"] == world.other_store_id
    refused = await owner.post("/v1/api_keys", {"scopes": ["node:read"], "store": world.other_store_id})
    assert refused.problems == {"/scopes": "unknown_scope"}
