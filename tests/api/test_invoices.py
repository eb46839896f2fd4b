"""Invoices over HTTP: what may be asked for, what is refused and where, lists, and what merchants do with one."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.api.conftest import Api, World

WHOLE: dict[str, Any] = {
    "amount": "19.99",
    "currency": "usd",
    "methods": ["sim_usdt"],
    "expires_in": "45m",
    "confirmations": {"sim_usdt": 5},
    "tolerance": {"under_percent": "0.5", "over_percent": 1},
    "name": "Order 1001",
    "description": "Two <b>shirts</b>",
    "order_id": "WC-1001",
    "customer": "c-7",
    "metadata": {"cart": "ab\n\u202e"},
    "success_url": "https://shop.example/thanks?order=1",
    "fail_url": "http://shop.example/oh",
    "provision": True,
}


async def test_an_invoice_has_what_it_was_made_with(api: Api) -> None:
    invoice = await api.invoice(**WHOLE)
    for field in ("name", "description", "order_id", "customer", "metadata", "success_url", "fail_url"):
        assert invoice[field] == WHOLE[field]
    assert (invoice["amount"], invoice["currency"], invoice["expires_in"]) == ("19.99", "USD", 2700)
    assert invoice["tolerance"] == {"under_percent": "0.5", "over_percent": "1"}
    [method] = invoice["methods"]
    assert (method["method"], method["state"], method["confirmations_required"]) == ("sim_usdt", "active", 5)
    assert method["amount_units"] == "19990000"
    assert (await api.get(f"/v1/invoices/{invoice['id']}")).json == invoice


@pytest.mark.parametrize(
    ("written", "expected"),
    [('"19.99"', "19.99"), ("19.99", "19.99"), ("20", "20"), ('"0.01"', "0.01"), ("19.90", "19.90"), ('"7"', "7")],
)
async def test_an_amount_is_read_exactly_from_a_string_or_a_number(api: Api, written: str, expected: str) -> None:
    reply = await api.send("POST", "/v1/invoices", raw=b'{"amount": %s, "currency": "USD"}' % written.encode())
    assert (reply.status, reply.json["amount"]) == (201, expected)


@pytest.mark.parametrize(
    "written",
    [
        '"1e3"',
        "1e3",
        "1E-2",
        '"19.999"',
        "19.999",
        '"-1"',
        "-1",
        "0",
        "-0",
        '"0.00"',
        '"\u0661\u0662"',
        '"\uff11"',
        '"1_000"',
        '"1,000"',
        '" 1"',
        '"+1"',
        '"0x10"',
        '"01"',
        '"1."',
        '".5"',
        '""',
        '"NaN"',
        '"Infinity"',
        "1" + "0" * 15,
        "9" * 5000,
        f'"{"9" * 5000}"',
        "0." + "0" * 5000 + "1",
        "true",
        "[]",
        "{}",
    ],
)
async def test_an_amount_that_is_no_payable_decimal_is_refused_with_its_pointer(api: Api, written: str) -> None:
    reply = await api.send("POST", "/v1/invoices", raw=f'{{"amount": {written}, "currency": "USD"}}'.encode())
    assert reply.status == 422
    assert list(reply.problems) == ["/amount"]


@pytest.mark.parametrize(
    ("amount", "currency", "status"),
    [
        ("100", "JPY", 503),  # no rate; but the amount is fine
        ("100.5", "JPY", 422),
        ("1.234", "KWD", 503),
        ("1.2345", "KWD", 422),
        ("1.000001", "USDT", 201),  # offered in USDT alone: nothing tells what the other coin costs in it
        ("1.0000001", "USDT", 422),
    ],
)
async def test_each_currency_has_its_own_decimals(api: Api, amount: str, currency: str, status: int) -> None:
    reply = await api.post("/v1/invoices", {"amount": amount, "currency": currency})
    assert reply.status == status


async def test_an_invoice_may_be_priced_in_a_coin_itself(api: Api) -> None:
    invoice = await api.invoice(amount="1.000001", currency="usdt", methods=["sim_usdt"])
    assert invoice["methods"][0]["amount_units"] == "1000001"


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"currency": "XXX"}, "/currency"),
        ({"currency": "US"}, "/currency"),
        ({"currency": "\u212aRW"}, "/currency"),  # a Kelvin sign
        ({"currency": 5}, "/currency"),
        ({"methods": ["sim_usdt", "btc_btc"]}, "/methods/1"),
        ({"methods": ["-all"]}, "/methods"),
        ({"methods": [True]}, "/methods/0"),
        ({"expires_in": 59}, "/expires_in"),
        ({"expires_in": 31_536_001}, "/expires_in"),
        ({"expires_in": "soon"}, "/expires_in"),
        ({"expires_in": -1}, "/expires_in"),
        ({"expires_in": 10**30}, "/expires_in"),
        ({"expires_in": True}, "/expires_in"),
        ({"expires_in": 60.5}, "/expires_in"),
        ({"valid_for": "1y"}, "/valid_for"),
        ({"expires_in": 60, "valid_for": 60}, "/valid_for"),
        ({"confirmations": 0}, "/confirmations"),
        ({"confirmations": 10_001}, "/confirmations"),
        ({"confirmations": {"sim_usdt": 0}}, "/confirmations/sim_usdt"),
        ({"confirmations": {"a/b~c": 1}}, "/confirmations/a~1b~0c"),
        ({"tolerance": {"under_percent": "50.1"}}, "/tolerance/under_percent"),
        ({"tolerance": {"over_percent": "-1"}}, "/tolerance/over_percent"),
        ({"tolerance": {"under": "1"}}, "/tolerance/under"),
        ({"name": "x" * 201}, "/name"),
        ({"description": "x" * 2001}, "/description"),
        ({"order_id": "x" * 201}, "/order_id"),
        ({"customer": ["x"]}, "/customer"),
        ({"metadata": {"k": "v" * 501}}, "/metadata/k"),
        ({"metadata": {"k" * 501: "v"}}, "/metadata"),
        ({"metadata": {str(n): "v" for n in range(51)}}, "/metadata"),
        ({"metadata": {"k": 1}}, "/metadata/k"),
        ({"success_url": "javascript:alert(1)"}, "/success_url"),
        ({"success_url": "https://user:pass@shop.example"}, "/success_url"),
        ({"success_url": "https://shop.example/\r\nX: y"}, "/success_url"),
        ({"success_url": "//shop.example"}, "/success_url"),
        ({"success_url": "data:text/html,x"}, "/success_url"),
        ({"success_url": "https:\\\\shop.example"}, "/success_url"),
        ({"success_url": "https://shop.example/" + "x" * 2048}, "/success_url"),
        ({"fail_url": 1}, "/fail_url"),
        ({"provision": "yes"}, "/provision"),
        ({"callback_url": "https://internal.example"}, "/callback_url"),
        ({"callback_retries": 0}, "/callback_url"),
        ({"callback_secret": "s"}, "/callback_url"),
        ({"callback_url": "https://shop.example", "callback_retries": 21}, "/callback_retries"),
        ({"callback_url": "https://shop.example", "callback_retries": -1}, "/callback_retries"),
        ({"callback_url": "https://shop.example", "callback_secret": ""}, "/callback_secret"),
        ({"callback_url": "https://shop.example", "callback_secret": "whsec_short"}, "/callback_secret"),
        ({"callback_url": "https://shop.example", "callback_echo_secret": True}, "/callback_secret"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_pointer_to_it(api: Api, changed: dict[str, Any], pointer: str) -> None:
    reply = await api.post("/v1/invoices", {"amount": "1", "currency": "USD", **changed})
    assert reply.status == 422, reply.raw
    assert list(reply.problems) == [pointer]
    assert reply.json["code"] == "validation_failed"


async def test_zero_confirmations_are_refused_with_the_reason(api: Api) -> None:
    reply = await api.post("/v1/invoices", {"amount": "1", "currency": "USD", "confirmations": 0})
    assert "taken back" in reply.json["errors"][0]["detail"]


async def test_a_currency_is_required_unless_the_store_has_one(world: World, api: Api) -> None:
    refused = await api.post("/v1/invoices", {"amount": "-1"})
    assert refused.problems == {"/currency": "required", "/amount": "not_positive"}
    other = world.caller_of_other_store()
    assert (await other.post("/v1/invoices", {"amount": "1"})).json["currency"] == "USD"
    assert (await other.get("/v1/stores")).json["data"][0]["invoices"]["currency"] == "USD"


async def test_all_problems_are_told_at_once(api: Api) -> None:
    shapes = await api.post("/v1/invoices", {"amount": 1, "name": 2, "description": 3, "nonsense": 4})
    assert shapes.problems == {
        "/name": "invalid_value",
        "/description": "invalid_value",
        "/nonsense": "unknown_field",
    }
    within = {
        "tolerance": {"under": 1},
        "address_policy": {"rest": []},
        "metadata": {"a": 1, "b": "2", "c": {}},
        "methods": ["sim_usdt", None, True],
    }
    assert (await api.post("/v1/invoices", {"amount": 1, **within})).problems == {
        "/tolerance/under": "unknown_field",
        "/address_policy/mode": "required",
        "/address_policy/rest": "invalid_value",
        "/metadata/a": "invalid_value",
        "/metadata/c": "invalid_value",
        "/methods/1": "invalid_value",
        "/methods/2": "invalid_value",
    }
    values = await api.post(
        "/v1/invoices", {"amount": "-1", "currency": "ABC", "methods": ["x"], "expires_in": 1, "confirmations": 0}
    )
    assert set(values.problems) == {"/amount", "/currency", "/methods/0", "/expires_in", "/confirmations"}


async def test_of_fixed_words_the_refusal_lists_those_that_there_are(api: Api) -> None:
    reply = await api.post("/v1/invoices", {"amount": 1, "type": "onetime", "address_policy": {"mode": "new"}})
    assert [(error["pointer"], error["code"], error["detail"]) for error in reply.json["errors"]] == [
        ("/type", "unknown_value", '"onetime" is none of one_time, pool, reusable.'),
        ("/address_policy/mode", "unknown_value", '"new" is none of fresh, reuse.'),
    ]


async def test_methods_may_be_named_in_groups_and_left_out(api: Api) -> None:
    async def offered(*names: str) -> list[str]:
        return [entry["method"] for entry in (await api.invoice(methods=list(names)))["methods"]]

    assert await offered("all") == await offered("sim_all") == ["sim_sim", "sim_usdt"]
    assert await offered("stables") == await offered("sim_stables") == await offered("-sim_sim") == ["sim_usdt"]
    assert await offered("sim_usdt", "sim_sim", "sim_usdt") == ["sim_usdt", "sim_sim"]


async def test_without_a_rate_nothing_is_sold(api: Api) -> None:
    reply = await api.post("/v1/invoices", {"amount": "1", "currency": "EUR"})
    assert (reply.status, reply.json["code"]) == (503, "rate_unavailable")
    assert int(reply.headers["Retry-After"]) > 0


async def test_an_invoice_is_cancelled_once_and_then_stays_so(api: Api) -> None:
    path = f"/v1/invoices/{(await api.invoice())['id']}"
    assert (await api.post(f"{path}/cancel")).json["status"] == "cancelled"
    assert (await api.post(f"{path}/cancel", {})).json["status"] == "cancelled"
    assert (await api.post(f"{path}/methods/sim_usdt")).json["code"] == "invoice_cancelled"
    refused = await api.post(f"{path}/accept")
    assert (refused.status, refused.json["code"]) == (409, "nothing_final")
    assert (await api.post(f"{path}/cancel", {"why": "x"})).problems == {"/why": "unknown_field"}


async def test_a_method_is_provisioned_once_and_a_price_renewed_only_when_it_lapsed(world: World, api: Api) -> None:
    path = f"/v1/invoices/{(await api.invoice())['id']}"
    first = (await api.post(f"{path}/methods/sim_usdt")).json["methods"][1]
    assert first["address"]
    assert (await api.post(f"{path}/methods/sim_usdt")).json["methods"][1] == first
    assert (await api.post(f"{path}/methods/btc_btc")).status == 404
    assert (await api.post(f"{path}/requote")).json["code"] == "quote_still_valid"
    world.clock.advance(timedelta(minutes=16))
    assert (await api.post(f"{path}/requote")).json["methods"][1]["rate_expires_in"] == 900


async def test_lists_are_walked_by_cursor_in_both_directions(world: World, api: Api) -> None:
    made = []
    for _ in range(7):
        world.clock.advance(timedelta(seconds=1))
        made.append((await api.invoice())["id"])
    seen, after = [], {}
    while True:
        page = (await api.get("/v1/invoices", limit="3", **after)).json
        seen += [entry["id"] for entry in page["data"]]
        if not page["has_more"]:
            break
        after = {"starting_after": page["next_cursor"]}
    assert page["next_cursor"] is None
    assert seen == made[::-1]
    before = (await api.get("/v1/invoices", limit="2", ending_before=made[0])).json
    assert [entry["id"] for entry in before["data"]] == [made[2], made[1]]
    assert before["next_cursor"] == made[2]
    oldest = (await api.get("/v1/invoices", sort="created_at", limit="2")).json["data"]
    assert [entry["id"] for entry in oldest] == made[:2]


async def test_lists_are_filtered(world: World, api: Api) -> None:
    first = await api.invoice(order_id="a")
    world.clock.advance(timedelta(hours=1))
    second = await api.invoice(order_id="b")
    await api.post(f"/v1/invoices/{second['id']}/cancel")

    async def found(**query: str) -> list[str]:
        return [entry["id"] for entry in (await api.get("/v1/invoices", **query)).json["data"]]

    assert await found(order_id="a") == [first["id"]]
    assert await found(status="cancelled") == [second["id"]]
    assert await found(status="cancelled,open") == [second["id"], first["id"]]
    assert await found(created_after="2026-01-01T00:30:00Z") == [second["id"]]
    assert await found(created_before="2026-01-01T01:30:00+01:00") == [first["id"]]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "\u0665"},
        {"limit": "9" * 5000},
        {"sort": "amount; drop table invoices"},
        {"status": "open,nonsense"},
        {"starting_after": "' or 1=1 --"},
        {"starting_after": "inv_0000000000000000000000000A", "ending_before": "inv_0000000000000000000000000A"},
        {"created_after": "yesterday"},
        {"created_after": "2026-01-01T00:00:00"},
        {"created_after": "0001-01-01T00:00:00+23:59"},
        {"order_id": "x" * 201},
        {"stauts": "open"},
    ],
)
async def test_a_query_that_cannot_be_is_refused_by_parameter(api: Api, query: dict[str, str]) -> None:
    reply = await api.get("/v1/invoices", **query)
    assert reply.status == 422, reply.raw
    assert set(reply.problems) <= set(query)


async def test_a_payer_sees_what_a_payer_needs(world: World, api: Api) -> None:
    invoice = await api.invoice(**{**WHOLE, "provision": False})
    payer = Api(world.app, None)
    shown = (await payer.get(f"/checkout/{invoice['id']}")).json
    assert {"metadata", "customer", "store", "sweep_state", "screening"}.isdisjoint(shown)
    assert shown["name"] == "Order 1001"
    assert (await payer.get(f"/checkout/{invoice['id']}/addresses")).json["data"] == []
    chosen = await payer.post(f"/checkout/{invoice['id']}/methods/sim_usdt")
    [address] = (await payer.get(f"/checkout/{invoice['id']}/addresses")).json["data"]
    assert address["address"] == chosen.json["methods"][0]["address"]
    world.clock.advance(timedelta(minutes=16))
    again = (await payer.post(f"/checkout/{invoice['id']}/methods/sim_usdt")).json["methods"][0]
    assert (again["address"], again["rate_expires_in"]) == (address["address"], 900)
    neighbour = f"{invoice['id'][:-1]}{'0' if invoice['id'][-1] != '0' else '1'}"
    assert (await payer.get(f"/checkout/{neighbour}")).status == 404


async def test_networks_hurry_while_a_payer_has_the_page_of_an_open_invoice_before_them(world: World, api: Api) -> None:
    invoice = await api.invoice(provision=False)
    payer, path = Api(world.app, None), f"/checkout/{invoice['id']}"
    await payer.get(path)
    assert not world.attention.is_on("sim")  # no address is shown yet
    await payer.post(f"{path}/methods/sim_usdt")
    await api.post(f"/v1/invoices/{(cancelled := await api.invoice())['id']}/cancel")
    await payer.get(f"/checkout/{cancelled['id']}")
    assert not world.attention.is_on("sim")
    await payer.get(path)
    assert world.attention.is_on("sim")


async def test_an_invoices_events_deposits_and_deliveries_are_listed(world: World, api: Api) -> None:
    await api.post("/v1/webhook_endpoints", {"url": "https://example.com"})
    path = f"/v1/invoices/{(await api.invoice())['id']}"
    world.clock.advance(timedelta(seconds=1))
    await api.post(f"{path}/cancel")
    events = (await api.get(f"{path}/events", sort="created_at")).json["data"]
    assert [(event["type"], event["sequence"]) for event in events] == [
        ("invoice.created", 1),
        ("invoice.cancelled", 2),
    ]
    assert (await api.get(f"{path}/deposits")).json["data"] == []
    assert len((await api.get(f"{path}/deliveries")).json["data"]) == 2


async def test_what_users_write_comes_back_as_they_wrote_it(api: Api) -> None:
    text = "'; drop table invoices; -- %_ \u2028</script>\x1b[31m\r\n=cmd()"
    invoice = await api.invoice(name=text, metadata={text: text})
    assert (invoice["name"], invoice["metadata"]) == (text, {text: text})
    raw = json.dumps({"amount": "1", "currency": "USD", "name": "\U0001f600"}).encode()
    assert (await api.send("POST", "/v1/invoices", raw=raw)).json["name"] == "\U0001f600"
