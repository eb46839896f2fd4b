"""The terms that an invoice may be made with, each as a caller writes it and as the answer shows it."""

from datetime import timedelta
from decimal import Decimal

import pytest
import trio
from tests.api.conftest import Api, Reply, World
from tests.lab.shop import NOW

from paynode.domain.chain import BlockRef, Observation, Row, RowKind, RowSource
from paynode.domain.quote import Rate
from paynode.operations.observations import apply_observation, load_books
from paynode.store import rates


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"amount": None, "type": "pool"}, "/amount", "required"),
        ({"type": "reusable"}, "/amount", "conflicting"),
        ({"type": "monthly"}, "/type", "unknown_value"),
        ({"min_amount": "1"}, "/min_amount", "conflicting"),
        ({"amount": None, "min_amount": "0"}, "/min_amount", "not_positive"),
        ({"amount": None, "min_amount": "0.001"}, "/min_amount", "not_an_amount"),
        ({"amount": None, "type": "reusable", "expires_in": 900}, "/expires_in", "conflicting"),
        ({"amount": None, "type": "reusable", "valid_for": "1h"}, "/valid_for", "conflicting"),
        ({"amount": None, "tolerance": {"under_percent": "1"}}, "/tolerance", "conflicting"),
        ({"markup_percent": "100.1"}, "/markup_percent", "out_of_range"),
        ({"markup_percent": "-50.1"}, "/markup_percent", "out_of_range"),
        ({"markup_percent": "0.00001"}, "/markup_percent", "not_a_percentage"),
        ({"markup_percent": "1e1"}, "/markup_percent", "not_a_percentage"),
        ({"rate": "0", "methods": ["sim_usdt"]}, "/rate", "out_of_range"),
        ({"rate": "-1", "methods": ["sim_usdt"]}, "/rate", "out_of_range"),
        ({"rate": "1e3", "methods": ["sim_usdt"]}, "/rate", "not_a_rate"),
        ({"rate": "9" * 40, "methods": ["sim_usdt"]}, "/rate", "out_of_range"),
        ({"rate": "1", "methods": ["all"]}, "/rate", "conflicting"),
        ({"rate": "1"}, "/rate", "conflicting"),
        ({"rates": {"btc_btc": "1"}}, "/rates/btc_btc", "unknown_method"),
        ({"rates": {"sim_usdt": "1"}, "currency": "USDT"}, "/rates/sim_usdt", "conflicting"),
        ({"rates": {"sim_sim": "1"}, "methods": ["stables"]}, "/rates/sim_sim", "conflicting"),
        ({"rates": {"sim_usdt": "1", "1": "1", "2": "1"}}, "/rates/2", "conflicting"),
        ({"confirmations": {"sim_sim": 3}, "methods": ["sim_usdt"]}, "/confirmations/sim_sim", "conflicting"),
        ({"rate": "1", "currency": "USDT", "methods": ["sim_usdt"]}, "/rate", "conflicting"),
        ({"rate": "1", "rates": {}, "methods": ["sim_usdt"]}, "/rates", "conflicting"),
        ({"display_currency": "EUR"}, "/display_currency", "conflicting"),
        ({"display_currency": "XXX", "currency": "USDT"}, "/display_currency", "unknown_currency"),
        ({"unique_order_id": True}, "/order_id", "required"),
        ({"unique_order_id": True, "order_id": ""}, "/order_id", "required"),
        ({"language": "la"}, "/language", "unknown_language"),
        ({"language": "en_US"}, "/language", "unknown_language"),
        ({"methods": "sim_usdt,btc_btc"}, "/methods/1", "unknown_method"),
        ({"methods": ["-all"]}, "/methods", "no_method"),
        ({"expires_in": "59s"}, "/expires_in", "out_of_range"),
        ({"expires_in": "366d"}, "/expires_in", "out_of_range"),
        ({"expires_in": 900, "valid_for": "15m"}, "/valid_for", "conflicting"),
    ],
)
async def test_terms_that_cannot_be_are_refused_where_they_stand(
    api: Api, fields: dict[str, object], pointer: str, code: str
) -> None:
    reply = await api.post("/v1/invoices", {"amount": "20", "currency": "USD", **fields})
    assert (reply.status, reply.problems.get(pointer)) == (422, code), reply.raw


async def test_an_amount_may_be_null_but_not_forgotten(api: Api) -> None:
    forgotten = await api.post("/v1/invoices", {"currency": "USD"})
    assert forgotten.problems == {"/amount": "required"}
    invoice = await api.invoice(amount=None, min_amount="5", methods=["sim_usdt"], provision=True)
    shown = [invoice[name] for name in ("type", "amount", "min_amount", "amount_due", "amount_overpaid")]
    assert shown == ["one_time", None, "5", None, None]
    [method] = invoice["methods"]
    assert (method["amount"], method["amount_due"], method["rate"], method["rate_expires_at"]) == (None,) * 4
    assert method["payment_uri"] == f"sim:{method['address']}?asset=usdt"


async def test_a_reusable_invoice_has_neither_amount_nor_deadline(world: World, api: Api) -> None:
    reply = await api.post("/v1/invoices", {"type": "reusable", "currency": "USD", "min_amount": "1"})
    invoice = reply.json
    shown = [invoice[name] for name in ("amount", "expires_at", "expires_in", "monitor_until")]
    assert (reply.status, shown, invoice["status"]) == (201, [None] * 4, "open")
    path = f"/v1/test/invoices/{invoice['id']}/pay"
    assert (await api.post(path)).problems == {"/amount": "required"}
    assert (await api.post(path, {"amount": "1", "late": True})).problems == {"/late": "conflicting"}
    assert (await api.post(path, {"amount": "1", "method": "sim_usdt"})).status == 201
    assert (await api.post(f"/v1/invoices/{invoice['id']}/cancel")).json["status"] == "cancelled"


async def test_a_pool_has_a_month_unless_it_is_told_otherwise(api: Api) -> None:
    assert (await api.invoice(type="pool"))["expires_in"] == 30 * 86_400
    assert (await api.invoice(type="pool", expires_in="200d"))["expires_in"] == 200 * 86_400


@pytest.mark.parametrize("field", ["expires_in", "valid_for"])
@pytest.mark.parametrize(
    ("written", "seconds"),
    [(900, 900), ("300s", 300), ("2h45m", 9900), ("PT15M", 900), ("P7D", 604_800), ("15m", 900), ("P1W", 604_800)],
)
async def test_a_deadline_is_given_in_every_form_of_a_duration(
    api: Api, field: str, written: object, seconds: int
) -> None:
    assert (await api.invoice(**{field: written}))["expires_in"] == seconds


async def test_a_markup_raises_what_is_due_and_a_discount_lowers_it(api: Api) -> None:
    for percent, due in (("2.5", "20.5"), ("-2.5", "19.5"), (10, "22")):
        invoice = await api.invoice(markup_percent=percent, methods=["sim_usdt"])
        assert (invoice["markup_percent"], invoice["methods"][0]["amount"]) == (str(percent), due)
        assert (invoice["amount"], invoice["methods"][0]["rate"]) == ("20", "1")


async def test_the_merchants_rate_is_one_for_a_coin_or_one_per_method(api: Api) -> None:
    single = await api.invoice(rate="2", methods=["sim_usdt"])
    assert (single["methods"][0]["rate"], single["methods"][0]["amount"]) == ("2", "10")
    assert single["methods"][0]["rate_expires_at"] == single["expires_at"]
    both = await api.invoice(rates={"sim_sim": "40"}, methods=["sim_sim", "sim_usdt"])
    assert [(method["rate"], method["amount"]) for method in both["methods"]] == [("40", "0.5"), ("1", "20")]


async def test_a_price_in_a_coin_shows_what_it_was_worth(world: World, api: Api) -> None:
    world.shop.database.write(rates.add, Rate("usdt", "EUR", Decimal("0.9"), NOW, "test"))
    invoice = await api.invoice(currency="USDT", display_currency="eur", methods=["sim_usdt"])
    assert (invoice["display_currency"], invoice["display_amount"]) == ("EUR", "18.00")
    plain = await api.invoice(currency="USDT", methods=["sim_usdt"])
    assert (plain["display_currency"], plain["display_amount"]) == (None, None)


async def test_a_price_in_a_currency_nobody_asked_for_yet_is_fetched(api: Api) -> None:
    reply = await api.post(
        "/v1/invoices", {"amount": "20", "currency": "USDT", "display_currency": "EUR", "methods": ["sim_usdt"]}
    )
    assert (reply.status, reply.json["code"]) == (503, "rate_unavailable")


async def test_one_order_gets_one_invoice_where_the_caller_says_so(world: World, api: Api) -> None:
    terms = {"amount": "20", "currency": "USD", "order_id": "1001", "unique_order_id": True}
    first = await api.post("/v1/invoices", terms)
    again = await api.post("/v1/invoices", terms)
    assert (again.status, again.json["code"]) == (409, "order_id_taken")
    [error] = again.json["errors"]
    assert (error["pointer"], error["code"], error["resource"]) == ("/order_id", "taken", first.json["id"])
    other = world.caller_of_other_store()
    assert (await other.post("/v1/invoices", terms)).status == 201


async def test_one_order_gets_one_invoice_also_if_it_is_asked_for_many_times_at_once(api: Api) -> None:
    terms = {"amount": "20", "currency": "USD", "order_id": "1001", "unique_order_id": True}
    replies: list[Reply] = []

    async def ask() -> None:
        replies.append(await api.post("/v1/invoices", terms))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
    [made] = [reply.json for reply in replies if reply.status == 201]
    refused = [reply.json for reply in replies if reply.status == 409]
    assert [(problem["code"], made["id"] in problem["detail"]) for problem in refused] == [
        ("order_id_taken", True)
    ] * 19


async def test_methods_may_be_one_text_with_commas(api: Api) -> None:
    invoice = await api.invoice(methods="sim_all, -sim_sim")
    assert [method["method"] for method in invoice["methods"]] == ["sim_usdt"]


@pytest.mark.parametrize(("written", "shown"), [("pt-BR", "pt"), ("DE", "de"), ("zh-Hant-TW", "zh"), (None, None)])
async def test_the_language_is_one_that_the_page_speaks(api: Api, written: str | None, shown: str | None) -> None:
    assert (await api.invoice(language=written))["language"] == shown


async def test_the_amount_of_each_method_is_shown_before_it_has_an_address(world: World, api: Api) -> None:
    invoice = await api.invoice()
    offered = [(method["state"], method["address"], method["amount"]) for method in invoice["methods"]]
    assert offered == [("offered", None, "40"), ("offered", None, "20")]
    world.clock.advance(timedelta(minutes=1))
    chosen = (await api.post(f"/v1/invoices/{invoice['id']}/methods/sim_usdt")).json["methods"][1]
    assert (chosen["state"], chosen["amount"], chosen["rate_expires_in"]) == ("active", "20", 840)


@pytest.mark.parametrize(("fields", "is_shown"), [({}, True), ({"type": "pool"}, False)])
async def test_payers_of_one_invoice_do_not_see_whose_the_others_are(
    world: World, api: Api, fields: dict[str, str], is_shown: bool
) -> None:
    invoice = await api.invoice(methods=["sim_usdt"], provision=True, **fields)
    row = Row(
        *(RowKind.IN, RowSource.LOG, invoice["methods"][0]["address"], "sim_usdt", 5_000_000),
        *(BlockRef(11, "0xbb", NOW), "0xcc", 0),
        sender="sim1payer",
    )
    seen = Observation(BlockRef(11, "0xbb", NOW), None, rows=(row,))
    shop = world.shop
    books = shop.database.read(load_books, shop.catalogue, "sim")
    shop.database.write(apply_observation, shop.catalogue, "sim", books, seen, NOW)
    [deposit] = (await Api(world.app, None).get(f"/checkout/{invoice['id']}")).json["deposits"]
    assert (deposit["amount"], deposit["state"], deposit["confirmations"]) == ("5", "detected", 1)
    told = [deposit[name] for name in ("tx_hash", "from", "log_index", "block_hash")]
    assert told == (["0xcc", "sim1payer", 0, "0xbb"] if is_shown else [None] * 4)
