"""Rates over the API: the list, and what a missing one answers."""

from datetime import timedelta

from tests.api.conftest import Api, World


async def test_rates_are_listed_with_who_said_them_and_whether_they_lock_prices(world: World, api: Api) -> None:
    listed = (await api.get("/v1/rates")).json["data"]
    assert [(rate["base"], rate["quote"], rate["rate"], rate["sources"], rate["usable"]) for rate in listed] == [
        ("sim", "USD", "0.5", ["test"], True),
        ("usdt", "USD", "1", ["static"], True),
    ]
    assert {rate["at"] for rate in listed} == {"2026-01-01T00:00:00.000Z"}
    world.clock.advance(timedelta(minutes=6))
    stale, fixed = (await api.get("/v1/rates")).json["data"]
    assert (stale["rate"], stale["usable"]) == ("0.5", False)
    assert stale["reason"]
    assert (fixed["usable"], fixed["reason"]) == (True, None)


async def test_rates_need_their_scope(world: World) -> None:
    assert (await world.caller("balances:read").get("/v1/rates")).status == 403
    assert (await world.caller("rates:read").get("/v1/rates")).status == 200


async def test_without_a_fresh_rate_fiat_answers_503_with_the_reason_while_coins_go_on(world: World, api: Api) -> None:
    world.clock.advance(timedelta(minutes=6))
    refused = await api.post("/v1/invoices", {"amount": "20", "currency": "USD", "methods": ["sim_sim"]})
    assert (refused.status, refused.json["code"]) == (503, "rate_unavailable")
    assert "sim/USD" in refused.json["detail"]
    assert (await api.invoice(methods=None))["methods"][0]["method"] == "sim_usdt"
    assert (await api.invoice(currency="SIM", methods=["sim_sim"]))["methods"][0]["amount"] == "20"


async def test_a_currency_that_nobody_asked_for_before_is_wanted_from_then_on(api: Api) -> None:
    order = {"amount": "20", "currency": "KES"}
    assert (await api.post("/v1/invoices", order)).status == 503
    listed = (await api.get("/v1/rates")).json["data"]
    assert ("sim", "KES") in [(rate["base"], rate["quote"]) for rate in listed]


async def test_a_coin_without_a_rate_keeps_nobody_from_a_new_price_in_another(world: World, api: Api) -> None:
    path = f"/v1/invoices/{(await api.invoice(expires_in=3600))['id']}"
    world.clock.advance(timedelta(minutes=16))
    coin, stable = (await api.post(f"{path}/requote")).json["methods"]
    assert (coin["rate_expires_in"], stable["rate_expires_in"]) == (0, 900)
    alone = f"/v1/invoices/{(await api.invoice(currency='USD', methods=['sim_usdt']))['id']}"
    world.clock.advance(timedelta(minutes=16))
    assert (await api.post(f"{alone}/requote")).status == 200
    assert (await api.post(f"{path}/methods/sim_sim")).json["code"] == "rate_unavailable"
