"""The third API: an invoice with a numeric status code, and coins named by network."""

from tests.hosted_apis.node import Caller
from tests.hosted_apis.rows import (
    Row,
    create,
    get,
    has,
    holds,
    is_moment,
    is_there,
    post,
    public,
    refused,
    starts,
)
from tests.hosted_apis.situations import EXPIRED, SHOP_URL, asked, final, invoice, seen

ONE = "/v1/invoices/{id}"


def methods(text: str, *expected: str) -> dict[str, object]:
    return {"http": 201, "methods[].method": list(expected)}


CREATING = [
    Row("amount", create(amount=19.99), {"http": 201, "amount": "19.99"}),
    Row("name", create(name="Order 7"), {"name": "Order 7"}),
    Row("currency", create(currency="eur"), {"currency": "EUR"}),
    Row("currency: left out", post("/v1/invoices", {"amount": "20"}), {"http": 201, "currency": "USD"}),
    Row(
        "payment_currencies", create(methods="eth_usdt, polygon_eth"), {"methods[].method": ["eth_usdt", "polygon_eth"]}
    ),
    Row("eth_eth", create(methods="eth_eth"), {"methods[].method": ["eth_eth"], "methods[0].symbol": "eth"}),
    Row("eth_usdt", create(methods="eth_usdt"), {"methods[].method": ["eth_usdt"]}),
    Row("eth_usdc", create(methods="eth_usdc"), {"methods[].method": ["eth_usdc"]}),
    Row(
        "polygon_eth",
        create(methods="polygon_eth"),
        {"methods[].method": ["polygon_eth"], "methods[0].contract": is_there},
    ),
    Row("polygon_usdt", create(methods="polygon_usdt"), {"methods[].method": ["polygon_usdt"]}),
    Row("polygon_usdc", create(methods="polygon_usdc"), {"methods[].method": ["polygon_usdc"]}),
    Row("all", create(methods="all"), {"methods": has(7), "methods[].method": holds("eth_eth", "polygon_usdc")}),
    Row("eth_stables", create(methods="eth_stables"), {"methods[].method": ["eth_usdt", "eth_usdc"]}),
    Row("polygon_stables", create(methods="polygon_stables"), {"methods[].method": ["polygon_usdt", "polygon_usdc"]}),
    Row("valid_for", create(valid_for="300s"), {"expires_in": 300}),
    Row("valid_for: h and m", create(valid_for="2h45m"), {"expires_in": 9900}),
    Row("callback_url", create(callback_url=SHOP_URL), {"callback_url": SHOP_URL}),
    Row(
        "callback_url: not http",
        create(callback_url="ftp://shop.example"),
        refused("/callback_url"),
    ),
    Row("success_url", create(success_url=SHOP_URL), {"success_url": SHOP_URL}),
    Row(
        "success_url: not http",
        create(success_url="ftp://shop.example"),
        refused("/success_url"),
    ),
    Row("fail_url", create(fail_url=SHOP_URL), {"fail_url": SHOP_URL}),
    Row("fail_url: not http", create(fail_url="ftp://shop.example"), refused("/fail_url")),
    Row("description", create(description="Two pounds of tea"), {"description": "Two pounds of tea"}),
    Row("meta_data1", create(metadata={"meta_data1": "red"}), {"metadata": {"meta_data1": "red"}}),
    Row("meta_data2", create(metadata={"meta_data2": "blue"}), {"metadata": {"meta_data2": "blue"}}),
]

ANSWERED = [
    Row("id", get(ONE, after=invoice()), {"id": starts("inv_")}),
    Row("url", get(ONE, after=invoice()), {"checkout_url": starts("http")}),
    Row("amount", get(ONE, after=invoice()), {"amount": "20"}),
    Row("paid_amount", get(ONE, after=invoice(seen("5"))), {"amount_paid": "5.00"}),
    Row(
        "prices[]",
        get(ONE, after=invoice(methods="eth_stables")),
        {"methods[].amount": ["20", "20"], "methods[].rate": ["1", "1"]},
    ),
    Row("base_currency", get(ONE, after=invoice()), {"currency": "USD"}),
    Row("name", get(ONE, after=invoice(name="Order 7")), {"name": "Order 7"}),
    Row("description", get(ONE, after=invoice(description="Tea")), {"description": "Tea"}),
    Row("account_name", public("/checkout/{id}", after=invoice()), {"store_name": "Tea and more"}),
    Row("status", get(ONE, after=invoice()), {"status": "open", "payment_state": "none"}),
    Row("status_code", get(ONE, after=invoice()), {"status": "open", "payment_state": "none"}),
    Row("notify_url", get(ONE, after=invoice(callback_url=SHOP_URL)), {"callback_url": SHOP_URL}),
    Row("suceess_url", get(ONE, after=invoice(success_url=SHOP_URL)), {"success_url": SHOP_URL}),
    Row("fail_url", get(ONE, after=invoice(fail_url=SHOP_URL)), {"fail_url": SHOP_URL}),
    Row("expires_on", get(ONE, after=invoice()), {"expires_at": is_moment}),
    Row("payments[]", get(ONE, after=invoice(seen("5"), seen("15"))), {"deposits": has(2)}),
    Row("payments[].tx_hash", get(ONE, after=invoice(seen("20"))), {"deposits[0].tx_hash": "{tx_hash}"}),
    Row(
        "payments[].explorer_url",
        get(ONE, after=invoice(seen("20"))),
        {"deposits[0].explorer_url": starts("https://polygon.example/tx/0x")},
    ),
    Row("payments[].amount", get(ONE, after=invoice(seen("20"))), {"deposits[0].amount": "20"}),
    Row(
        "payments[].date",
        get(ONE, after=invoice(seen("20"))),
        {"deposits[0].block_at": is_moment, "deposits[0].detected_at": is_moment},
    ),
    Row("payments[].confirmation", get(ONE, after=invoice(final("20"))), {"deposits[0].confirmations": 3}),
    Row("created_at", get(ONE, after=invoice()), {"created_at": is_moment}),
    Row("updated_at", get(ONE, after=invoice()), {"updated_at": is_moment}),
    Row("meta_data1", get(ONE, after=invoice(metadata={"meta_data1": "red"})), {"metadata": {"meta_data1": "red"}}),
    Row("meta_data2", get(ONE, after=invoice(metadata={"meta_data2": "blue"})), {"metadata": {"meta_data2": "blue"}}),
]

EXACT, HALF = "20", "10"

STATES = [
    Row("0 pending", create(), {"status": "open", "payment_state": "none"}),
    Row("0 pending: seen", get(ONE, after=invoice(seen(EXACT))), {"status": "confirming", "payment_state": "exact"}),
    Row("1 paid", get(ONE, after=invoice(final(EXACT))), {"status": "paid", "payment_state": "exact"}),
    Row("2 under paid", get(ONE, after=invoice(final(HALF))), {"status": "open", "payment_state": "partial"}),
    Row(
        "3 over paid",
        get(ONE, after=invoice(final("25"))),
        {"status": "paid", "payment_state": "over", "amount_overpaid": "5.00"},
    ),
    Row("4 expired", get(ONE, after=invoice(EXPIRED)), {"status": "expired", "payment_state": "none"}),
    Row(
        "4 expired: in part",
        get(ONE, after=invoice(final(HALF), EXPIRED)),
        {"status": "expired", "payment_state": "partial"},
    ),
    Row(
        "5 cancelled",
        get(ONE, after=invoice(asked("POST", "/checkout/{id}/cancel", by=Caller.PAYER))),
        {"status": "cancelled"},
    ),
]

ERRORS = [
    Row("400", post("/v1/invoices", b"{amount: 20}"), {"http": 400, "code": "malformed_request"}),
    Row("400: a value", create(amount="0"), {"http": 422, "code": "validation_failed"}),
    Row("message", create(amount="0"), {"detail": holds("amount")}),
    Row("errors[]", create(amount="0", valid_for="soon"), {"errors": has(2)}),
    Row(
        "errors[].resource",
        post(
            "/v1/invoices",
            {"amount": "20", "currency": "USD", "order_id": "7", "unique_order_id": True},
            after=invoice(order_id="7"),
        ),
        {"http": 409, "errors[0].resource": "{id}"},
    ),
    Row("errors[].code", create(amount="0"), {"errors[0].code": "not_positive"}),
    Row("errors[].field", create(amount="0"), {"errors[0].pointer": "/amount"}),
    Row("errors[].description", create(amount="0"), {"errors[0].detail": is_there}),
]

TABLES = {"Making an invoice": CREATING, "What the answer says": ANSWERED, "Status codes": STATES, "Errors": ERRORS}
