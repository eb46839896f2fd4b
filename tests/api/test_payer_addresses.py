"""Caps on what payers have issued, over HTTP: who counts as one, and what they are told."""

from tests.api.conftest import Api, World

LIMIT = 100  # an hour, by default


async def picked(world: World, api: Api, peer: str, forwarded: str = "") -> int:
    """A payer from there picks a method of a new invoice; returns the status."""
    invoice = await api.invoice()
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    payer = Api(world.app, None)
    reply = await payer.send(
        "POST", f"/checkout/{invoice['id']}/methods/sim_usdt", raw=b"{}", headers=headers, peer=peer
    )
    if reply.status == 429:
        assert 0 < int(reply.headers["Retry-After"]) <= 3600
        assert (reply.json["code"], "try again later" in reply.json["detail"]) == ("too_many_requests", True)
        merchant = await api.post(f"/v1/invoices/{invoice['id']}/methods/sim_usdt", {})
        assert merchant.json["methods"][0]["address"] or merchant.json["methods"][1]["address"]
    return reply.status


async def test_one_place_is_stopped_and_no_other_and_never_the_merchant(world: World, api: Api) -> None:
    assert {await picked(world, api, "192.0.2.7") for _ in range(LIMIT)} == {200}
    assert await picked(world, api, "192.0.2.7") == 429
    assert await picked(world, api, "192.0.2.7", forwarded="198.51.100.1") == 429  # what nobody trusted says
    assert await picked(world, api, "192.0.2.8") == 200
    clients = world.shop.database.read(lambda tx: tx.rows("select distinct client from payer_addresses"))
    assert len(clients) == 2
    assert not any("." in client for (client,) in clients)  # no network address is kept


async def test_the_node_tells_how_far_its_keys_are_used(world: World, api: Api) -> None:
    owner = world.caller(of_node=True)
    before = (await owner.get("/v1/node")).json["addresses"]
    assert {branch["highest_index"] for branch in before} == {None}
    for _ in range(3):
        await api.invoice(provision=True)
    after = (await owner.get("/v1/node")).json["addresses"]
    found = {(branch["account"], branch["family"], branch["highest_index"]) for branch in after}
    assert found == {(0, "sim", 2), (1, "sim", None)}
