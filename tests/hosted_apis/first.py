"""The first API: a wallet's invoices, in coins or in fiat, on addresses that serve in turn."""

import hashlib
import hmac
from base64 import b64encode
from datetime import timedelta

from tests.hosted_apis.node import Answer, Caller, WholeNode
from tests.hosted_apis.rows import (
    Ask,
    Row,
    create,
    get,
    has,
    holds,
    is_address,
    is_moment,
    is_there,
    lacks,
    post,
    public,
    refused,
    request,
    starts,
)
from tests.hosted_apis.situations import (
    CANCELLED,
    COLLECTED,
    EXPIRED,
    SHOP_URL,
    Step,
    answered,
    both,
    final,
    invoice,
    passed,
    seen,
    sent,
    told,
)

ONE, PUBLIC, LINK = "/v1/invoices/{id}", "/checkout/{id}", "/i/{id}"
SECRET = "a secret of the shop"
DONE = (final("20"), COLLECTED, EXPIRED)
TEN_MINUTES = timedelta(minutes=10)
REUSED = {"address_policy": {"mode": "reuse", "rest": "10m"}}
UNKNOWN = "01JZ8Q4M9C3V5T7X1B2D4F6H8K"
DATA = {
    "order_id": "7",
    "name": "Order 7",
    "description": "Two pounds of tea",
    "callback_url": SHOP_URL,
    "callback_retries": 3,
    "success_url": SHOP_URL,
    "fail_url": SHOP_URL,
    "metadata": {"user_data": "blue"},
}


def reused_after(*steps: Step, **terms: object) -> Ask:
    """What is told of addresses once these things happened to an invoice, and another one came."""
    before, later = invoice(*steps, **REUSED, **terms), invoice(amount="21", **REUSED)
    return get("/v1/events", type="address.reused", after=both(before, later))


def of_callback(*statuses: int, retries: int) -> Ask:
    after = invoice(answered(*statuses), callback_url=SHOP_URL, callback_retries=retries)
    return get("/v1/invoices/{id}/deliveries", after=after)


async def _store(node: WholeNode) -> Answer:
    return {"store": node.node.store_id}


async def _broken(node: WholeNode, made: Answer) -> None:
    node.node.run("alter table invoices rename to elsewhere")


SWITCHED_OFF = request("PATCH", "/v1/payment_methods/polygon_usdt", {"enabled": False}, after=None)
THE_STORE = Ask("", _store)
BROKEN = Step(_broken)


def is_signed(hook: Answer) -> bool:
    """Whether a callback bears the signature by its invoice's secret, as Standard Webhooks has it."""
    headers = hook["headers"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{hook['raw']}"
    expected = b64encode(hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256)).decode()
    return bool(headers["webhook-signature"] == f"v1,{expected}")


CREATING = [
    Row(
        "wallet id",
        post("/v1/invoices", {"amount": "20", "currency": "USD", "store": "{store}"}, after=THE_STORE, by=Caller.OWNER),
        {"http": 201, "store": "{store}"},
    ),
    Row("blockchain", create(methods=["polygon_usdt"]), {"methods[0].network": "polygon"}),
    Row("symbol", create(methods=["polygon_usdt"]), {"methods[0].symbol": "usdt"}),
    Row(
        "value",
        create(amount="0.5", currency="ETH", methods=["eth_eth"]),
        {"methods[0].amount": "0.5", "display_amount": None},
    ),
    Row("fiatCurrency", create(methods=["eth_usdt"]), {"amount": "20", "currency": "USD"}),
    Row(
        "fiatCurrency.currency",
        create(currency="EUR", methods=["eth_usdt"]),
        {"currency": "EUR", "methods[0].amount": "25"},
    ),
    Row(
        "fiatCurrency.currency: beside value",
        create(amount="0.5", currency="ETH", methods=["eth_eth"], display_currency="EUR"),
        {"methods[0].amount": "0.5", "display_currency": "EUR", "display_amount": "800.00"},
    ),
    Row("fiatCurrency.value", create(amount="20", methods=["eth_eth"]), {"amount": "20", "methods[0].amount": "0.01"}),
    Row(
        "fiatCurrency.percent",
        create(markup_percent=5, methods=["eth_usdt"]),
        {"markup_percent": "5", "amount": "20", "methods[0].amount": "21"},
    ),
    Row("fiatCurrency.percent: below 0", create(markup_percent=-5, methods=["eth_usdt"]), {"methods[0].amount": "19"}),
    Row("expiry", create(expires_in="15m"), {"expires_in": 900}),
    Row("expiry: past 40", create(expires_in="7d"), {"http": 201, "expires_in": 604800}),
    Row("confirmations", create(confirmations=5, methods=["eth_usdt"]), {"methods[0].confirmations_required": 5}),
    Row("pause", create(**REUSED), {"address_policy.mode": "reuse", "address_policy.rest": 600}),
    Row(
        "pause: below 10",
        create(address_policy={"mode": "reuse", "rest": "9m"}),
        refused("/address_policy/rest"),
    ),
    Row("secret_key", create(callback_url=SHOP_URL, callback_secret=SECRET), {"http": 201, "text": lacks(SECRET)}),
    Row("data", create(**DATA), {"http": 201, **DATA}),
    Row("data.order_id", create(order_id="7"), {"order_id": "7"}),
    Row("data.title", create(name="Order 7"), {"name": "Order 7"}),
    Row("data.description", create(description="Two pounds of tea"), {"description": "Two pounds of tea"}),
    Row("data.url_callback", create(callback_url=SHOP_URL), {"callback_url": SHOP_URL}),
    Row("data.attempts_callback", create(callback_url=SHOP_URL, callback_retries=20), {"callback_retries": 20}),
    Row(
        "data.attempts_callback: past 20",
        create(callback_url=SHOP_URL, callback_retries=21),
        refused("/callback_retries"),
    ),
    Row("data.url_success", create(success_url=SHOP_URL), {"success_url": SHOP_URL}),
    Row(
        "data.url_success: without http",
        create(success_url="shop.example"),
        refused("/success_url"),
    ),
    Row("data.url_failed", create(fail_url=SHOP_URL), {"fail_url": SHOP_URL}),
    Row(
        "data.url_failed: without http",
        create(fail_url="shop.example"),
        refused("/fail_url"),
    ),
    Row("data.user_data", create(metadata={"user_data": "blue"}), {"metadata": {"user_data": "blue"}}),
]

ANSWERED = [
    Row("id", create(), {"id": starts("inv_")}),
    Row("blockchain", get(ONE, after=invoice()), {"methods[0].network": "polygon"}),
    Row("symbol", get(ONE, after=invoice()), {"methods[0].symbol": "usdt"}),
    Row("address", get(ONE, after=invoice()), {"methods[0].address": is_address}),
    Row("contract_address", get(ONE, after=invoice()), {"methods[0].contract": is_there}),
    Row("active: true", get(ONE, after=invoice()), {"status": "open"}),
    Row("active: paid, not yet final", get(ONE, after=invoice(seen("20"))), {"status": "confirming"}),
    Row("active: false", get(ONE, after=invoice(EXPIRED)), {"status": "expired"}),
    Row("value", get(ONE, after=invoice()), {"methods[0].amount": "20"}),
    Row("created", get(ONE, after=invoice()), {"created_at": is_moment}),
    Row("expiry", get(ONE, after=invoice()), {"expires_at": is_moment, "expires_in": is_there}),
    Row("status", get(ONE, after=invoice()), {"status": "open", "payment_state": "none"}),
    Row("confirmations", get(ONE, after=invoice(final("20"))), {"deposits[].confirmations": [3]}),
    Row(
        "fiat_currency",
        get(ONE, after=invoice(markup_percent="5")),
        {"currency": "USD", "amount": "20", "markup_percent": "5"},
    ),
    Row(
        "fiat_currency: beside value",
        get(ONE, after=invoice(amount="1", currency="ETH", methods=["eth_eth"], display_currency="USD")),
        {"display_currency": "USD", "display_amount": "2000.00"},
    ),
    Row(
        "txs", get(ONE, after=invoice(seen("5"), seen("15"))), {"deposits": has(2), "deposits[1].tx_hash": "{tx_hash}"}
    ),
    Row("data", get(ONE, after=invoice(**DATA)), DATA),
    Row("url_pay", create(), {"checkout_url": starts("http")}),
    Row("url_pay: followed", public(LINK, after=invoice()), {"http": 200}),
]

SHOWN = [
    Row("UUID", public(PUBLIC, after=invoice()), {"http": 200, "id": "{id}"}),
    Row("blockchain", public(PUBLIC, after=invoice()), {"methods[0].network": "polygon"}),
    Row("symbol", public(PUBLIC, after=invoice()), {"methods[0].symbol": "usdt"}),
    Row("address", public(PUBLIC, after=invoice()), {"methods[0].address": is_address}),
    Row("contract_address", public(PUBLIC, after=invoice()), {"methods[0].contract": is_there}),
    Row("active", public(PUBLIC, after=invoice(CANCELLED)), {"status": "cancelled"}),
    Row("value", public(PUBLIC, after=invoice()), {"methods[0].amount": "20"}),
    Row("created", public(PUBLIC, after=invoice()), {"created_at": is_moment}),
    Row("expiry", public(PUBLIC, after=invoice()), {"expires_at": is_moment}),
    Row("status", public(PUBLIC, after=invoice(final("20"))), {"status": "paid", "payment_state": "exact"}),
    Row("confirmations", public(PUBLIC, after=invoice(seen("20"))), {"deposits[].confirmations": [1]}),
    Row("fiat_currency", public(PUBLIC, after=invoice()), {"currency": "USD", "amount": "20"}),
    Row("txs", public(PUBLIC, after=invoice(seen("20"))), {"deposits[].tx_hash": ["{tx_hash}"]}),
    Row(
        "data",
        public(PUBLIC, after=invoice(**DATA)),
        {
            "order_id": "7",
            "name": "Order 7",
            "description": "Two pounds of tea",
            "success_url": SHOP_URL,
            "fail_url": SHOP_URL,
        },
    ),
    Row("data.user_data", public(PUBLIC, after=invoice(**DATA)), {"metadata": None, "text": lacks("blue")}),
    Row(
        "no wallet, secret or callback",
        public(PUBLIC, after=invoice(**DATA, callback_secret=SECRET)),
        {"store": None, "callback_url": None, "text": lacks(SECRET, "callback", "sto_")},
    ),
]

STATES = [
    Row("NOT_PAID", get(ONE, after=invoice()), {"status": "open", "payment_state": "none"}),
    Row("IN_MEMPOOL", get(ONE, after=invoice(sent("20"))), {"status": "open", "payment_state": "none"}),
    Row(
        "IN_MEMPOOL: claimed",
        post("/checkout/{id}/claim", {"tx_hash": "{tx_hash}"}, after=invoice(sent("20")), by=Caller.PAYER),
        {"http": 202, "state": "pending"},
    ),
    Row(
        "IN_BLOCK",
        get(ONE, after=invoice(seen("20"))),
        {"status": "confirming", "payment_state": "exact", "deposits[0].state": "detected"},
    ),
    Row(
        "PARTIALLY_PAID",
        get(ONE, after=invoice(final("10"))),
        {"status": "open", "payment_state": "partial", "amount_due": "10.00"},
    ),
    Row("PAID", get(ONE, after=invoice(final("20"))), {"status": "paid", "payment_state": "exact"}),
    Row("PAID: too much", get(ONE, after=invoice(final("25"))), {"status": "paid", "payment_state": "over"}),
    Row("NOT_PAID: not active", get(ONE, after=invoice(EXPIRED)), {"status": "expired", "payment_state": "none"}),
    Row(
        "PARTIALLY_PAID: not active",
        get(ONE, after=invoice(final("10"), EXPIRED)),
        {"status": "expired", "payment_state": "partial"},
    ),
]

ERRORS = [
    Row("403 currency: unknown", create(methods=["polygon_gold"]), {"http": 422, "errors[0].code": "unknown_method"}),
    Row(
        "403 currency: switched off",
        post("/v1/invoices", {"amount": "20", "methods": ["polygon_usdt"]}, after=SWITCHED_OFF),
        {"http": 422, "errors[0].code": "method_switched_off"},
    ),
    Row(
        "403 forbidden",
        post("/v1/invoices", {"amount": "20", "currency": "USD"}, by=Caller.TILL),
        {"http": 403, "code": "forbidden"},
    ),
    Row("404 wallet", get(f"/v1/stores/sto_{UNKNOWN}"), {"http": 404, "code": "not_found"}),
    Row("404 invoice", public(f"/checkout/inv_{UNKNOWN}"), {"http": 404, "code": "not_found"}),
    Row("500", public(PUBLIC, after=invoice(BROKEN)), {"http": 500, "code": "internal_error"}),
]

BEHAVIOUR = [
    Row("history", get("/v1/invoices", after=both(invoice(), invoice())), {"data[].id": ["{other}", "{id}"]}),
    Row("an address serves again: paid", reused_after(*DONE, passed(TEN_MINUTES), expires_in="55m"), {"data": has(1)}),
    Row("an address serves again: unpaid", reused_after(EXPIRED), {"data": has(1)}),
    Row("not before its pause", reused_after(*DONE, expires_in="55m"), {"data": []}),
    Row(
        "callback signed",
        told("invoice.created", invoice(callback_url=SHOP_URL, callback_secret=SECRET)),
        {"": is_signed, "raw": lacks(SECRET)},
    ),
    Row(
        "secret in the callback",
        told("invoice.created", invoice(callback_url=SHOP_URL, callback_secret=SECRET, callback_echo_secret=True)),
        {"body.secret_key": SECRET},
    ),
    Row(
        "a callback at each change",
        told("invoice.paid", invoice(final("20"), callback_url=SHOP_URL)),
        {"body.data.object.status": "paid"},
    ),
    Row(
        "every minute until 200",
        of_callback(500, 201, 200, retries=5),
        {"data[].state": ["delivered"], "data[0].attempts[].status": [500, 201, 200]},
    ),
    Row(
        "no more than attempts_callback",
        of_callback(500, 500, 500, retries=1),
        {"data[].state": ["abandoned"], "data[0].attempts": has(2)},
    ),
    Row(
        "on to url_success",
        public("/i/{id}", after=invoice(final("20"), success_url=SHOP_URL)),
        {"text": holds(SHOP_URL)},
    ),
    Row("on to url_failed", public(LINK, after=invoice(EXPIRED, fail_url=SHOP_URL)), {"text": holds(SHOP_URL)}),
    Row("on to url_success: not before", public(LINK, after=invoice(success_url=SHOP_URL)), {"text": lacks(SHOP_URL)}),
    Row("on to url_failed: not before", public(LINK, after=invoice(fail_url=SHOP_URL)), {"text": lacks(SHOP_URL)}),
    Row("trying it out", get("/docs/reference", by=Caller.PAYER), {"http": 200, "text": holds("/v1/invoices")}),
]

TABLES = {
    "Making an invoice": CREATING,
    "What the answer says": ANSWERED,
    "What payers see": SHOWN,
    "Statuses": STATES,
    "Errors": ERRORS,
    "How it goes": BEHAVIOUR,
}
