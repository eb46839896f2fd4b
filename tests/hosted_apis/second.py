"""The second API: a merchant's invoices of several types, screened and COLLECTED, with addresses on demand."""

import hashlib
import hmac

from tests.hosted_apis.node import BAD, Answer, Caller, WholeNode
from tests.hosted_apis.rows import (
    Ask,
    NotYet,
    Row,
    create,
    delete,
    get,
    has,
    is_address,
    is_there,
    post,
    public,
    starts,
)
from tests.hosted_apis.situations import (
    ARCHIVED,
    COLLECTED,
    EXPIRED,
    ORDERED,
    SHOP_URL,
    TAKEN_BACK,
    asked,
    both,
    final,
    invoice,
    seen,
    told,
)

ONE, PUBLIC = "/v1/invoices/{id}", "/checkout/{id}"
HEX = {"url": SHOP_URL, "signature_format": "hex", "secret": "any text"}
PAYOUTS = "payouts"


def listed(first: Ask, second: Ask, **query: str) -> Ask:
    """The list of two invoices, narrowed."""
    return get("/v1/invoices", after=both(first, second), **query)


def numbered(method: str, first: Ask) -> Ask:
    """What is known of `first`, and the number of a payment method as `{number}`."""
    listed = get("/v1/payment_methods")

    async def run(node: WholeNode) -> Answer:
        (number,) = (each["number"] for each in (await listed(node))["data"] if each["method"] == method)
        return {**await first(node), "number": number}

    return Ask(f"{listed.said} number {first.said}", run)


def is_signed_in_hex(answer: Answer) -> bool:
    expected = hmac.digest(HEX["secret"].encode(), answer["raw"].encode(), hashlib.sha256).hex()
    return bool(answer["headers"]["x-signature"] == expected)


PLAIN = invoice()
ON_ETH = invoice(methods=["eth_usdt"])
THE_FIRST = {"data[].id": ["{id}"]}
REUSABLE = {"type": "reusable", "amount": None}

TYPES = [
    Row("onetime", create(type="one_time"), {"type": "one_time", "amount": "20"}),
    Row(
        "reusable",
        get(ONE, after=invoice(final("5"), final("7"), **REUSABLE)),
        {"type": "reusable", "status": "open", "deposit_count": 2},
    ),
    Row(
        "collect",
        get(ONE, after=invoice(final("5"), final("15"), type="pool")),
        {"type": "pool", "status": "paid", "amount_paid": "20.00"},
    ),
    NotYet("withdraw", PAYOUTS, post("/v1/payouts", {"method": "polygon_usdt", "amount": "5"})),
]

CREATING = [
    Row("type", create(type="reusable", amount=None), {"http": 201, "type": "reusable"}),
    Row(
        "paymentMethodID",
        post("/v1/invoices", {"amount": "20", "methods": ["{number}"]}, after=numbered("polygon_usdt", PLAIN)),
        {"http": 201, "methods[].method": ["polygon_usdt"]},
    ),
    Row("paymentMethodID: by name", create(methods=["polygon_usdt"]), {"methods[].method": ["polygon_usdt"]}),
    Row("amount", create(amount="20", currency="USD"), {"amount": "20", "currency": "USD"}),
    Row("invoiceID", create(), {"id": starts("inv_")}),
    Row("merchant", create(), {"store": starts("sto_")}),
]

PAYING = [
    Row(
        "no address until it is viewed",
        create(methods=["polygon_usdt"]),
        {"methods[0].state": "offered", "methods[0].address": None},
    ),
    Row("a link for the customer", create(), {"checkout_url": starts("http")}),
    Row("public invoice", public(PUBLIC, after=PLAIN), {"http": 200, "id": "{id}"}),
    Row(
        "address of a method",
        post("/checkout/{id}/methods/polygon_usdt", after=invoice(provision=False), by=Caller.PAYER),
        {"http": 200, "methods[0].state": "active", "methods[0].address": is_address},
    ),
    Row(
        "address of a method: by number",
        post(f"{PUBLIC}/methods/{{number}}", after=numbered("polygon_usdt", invoice(provision=False)), by=Caller.PAYER),
        {"http": 200, "methods[0].state": "active"},
    ),
    Row(
        "all addresses so far",
        public("/checkout/{id}/addresses", after=PLAIN),
        {"data[].method": ["polygon_usdt"], "data[0].address": is_address},
    ),
    Row("no key in the browser", public("/checkout/{id}/addresses", after=PLAIN), {"http": 200}),
    Row(
        "a unique address",
        create(provision=True, methods=["polygon_usdt"]),
        {"address_policy.mode": "fresh", "methods[0].address": is_address},
    ),
    Row(
        "the exact amount",
        public(PUBLIC, after=PLAIN),
        {"methods[0].amount": "20", "methods[0].amount_units": "20000000"},
    ),
    Row(
        "the transaction is recorded",
        get("/v1/invoices/{id}/deposits", after=invoice(seen("20"))),
        {"data[].tx_hash": ["{tx_hash}"], "data[].invoice": ["{id}"]},
    ),
    Row("fulfilled by one payment", get(ONE, after=invoice(final("20"))), {"status": "paid", "deposit_count": 1}),
]

STATES = [
    Row("pending", create(), {"status": "open", "payment_state": "none"}),
    Row("partially paid", get(ONE, after=invoice(final("10"))), {"status": "open", "payment_state": "partial"}),
    Row("partially paid: expired", get(ONE, after=invoice(final("10"), EXPIRED)), {"payment_state": "partial"}),
    Row("paid", get(ONE, after=invoice(final("20"))), {"status": "paid", "payment_state": "exact"}),
    Row("overpaid", get(ONE, after=invoice(final("25"))), {"status": "paid", "payment_state": "over"}),
    Row("expired", get(ONE, after=invoice(EXPIRED)), {"status": "expired"}),
    Row("archived", get(ONE, after=invoice(ARCHIVED)), {"archived": True}),
    Row("failed", get(ONE, after=invoice(final("20"), TAKEN_BACK)), {"status": "reversed", "payment_state": "none"}),
    Row("collectStates: awaiting payment", create(), {"sweep_state": "not_applicable"}),
    Row(
        "collectStates: on-chain",
        get(ONE, after=invoice(seen("20"))),
        {"sweep_state": "unswept", "deposits[0].state": "detected"},
    ),
    Row(
        "collectStates: confirmed",
        get(ONE, after=invoice(final("20"))),
        {"sweep_state": "unswept", "deposits[0].state": "settled"},
    ),
    Row("collectStates: to be collected", get(ONE, after=invoice(final("20"), ORDERED)), {"sweep_state": "scheduled"}),
    Row(
        "collectStates: settled",
        get(ONE, after=invoice(final("20"), COLLECTED)),
        {"sweep_state": "swept", "deposits[0].sweep_state": "swept"},
    ),
]

FILTERS = [
    Row("type", listed(invoice(**REUSABLE), PLAIN, type="reusable,pool"), THE_FIRST),
    NotYet("type: withdraw", PAYOUTS, get("/v1/payouts")),
    Row("state", listed(invoice(final("20")), PLAIN, status="paid"), THE_FIRST),
    Row("state: over", listed(invoice(final("25")), PLAIN, payment_state="over"), THE_FIRST),
    Row("state: late", listed(invoice(EXPIRED, seen("20")), PLAIN, late="true"), {**THE_FIRST, "data[].late": [True]}),
    Row("tokens", listed(ON_ETH, PLAIN, method="eth_usdt,eth_usdc"), THE_FIRST),
    Row(
        "tokens: several",
        listed(PLAIN, ON_ETH, method="eth_usdt,polygon_usdt"),
        {"data[].id": ["{other}", "{id}"]},
    ),
    Row(
        "tokens: by number",
        get(
            "/v1/invoices",
            method="{number}",
            after=numbered("polygon_usdt", both(PLAIN, ON_ETH)),
        ),
        THE_FIRST,
    ),
    Row("amount", listed(invoice(amount="30"), PLAIN, currency="USD", amount_min="25", amount_max="35"), THE_FIRST),
    Row(
        "dateRange",
        listed(invoice(EXPIRED), PLAIN, created_after="2026-01-01T00:00:00Z", created_before="2026-01-01T00:30:00Z"),
        THE_FIRST,
    ),
    Row("collectStates", listed(invoice(final("20"), COLLECTED), PLAIN, sweep_state="swept"), THE_FIRST),
    Row("archived", listed(invoice(ARCHIVED), PLAIN, archived="true"), THE_FIRST),
    Row("archived: left out", listed(PLAIN, invoice(ARCHIVED)), THE_FIRST),
    Row("archived: included", listed(PLAIN, invoice(ARCHIVED), archived="any"), {"data": has(2)}),
    Row("amlOk", listed(invoice(final("20")), invoice(final("20", BAD)), screening="clear"), THE_FIRST),
    Row(
        "amlOk: one of two",
        listed(invoice(final("20")), invoice(final("10"), final("10", BAD)), screening="clear"),
        THE_FIRST,
    ),
    Row("amlOk: false", listed(invoice(final("20", BAD)), invoice(final("20")), screening="flagged"), THE_FIRST),
    Row("search", listed(invoice(description="Two pounds of tea"), PLAIN, q="tea"), THE_FIRST),
    Row("search: metadata", listed(invoice(metadata={"colour": "blue"}), PLAIN, q="BLUE"), THE_FIRST),
    Row("search: a transaction", listed(invoice(seen("20")), PLAIN, q="{tx_hash}"), THE_FIRST),
    Row("search: an invoice", listed(PLAIN, PLAIN, q="{id}"), THE_FIRST),
    Row(
        "page, limit, order",
        listed(PLAIN, PLAIN, limit="1", sort="created_at"),
        {**THE_FIRST, "has_more": True, "next_cursor": "{id}"},
    ),
]

SCREENING = [
    Row("AML passed", get(ONE, after=invoice(final("20"))), {"screening": "passed", "deposits[0].screening": "passed"}),
    Row(
        "AML failed",
        get(ONE, after=invoice(final("20", BAD))),
        {"screening": "flagged", "status": "open", "deposits[0].held": True},
    ),
    Row(
        "AML failed: not collected",
        post("/v1/sweeps/preview", {"invoices": ["{id}"]}, after=invoice(final("20", BAD))),
        {"deposits[].collected": [False], "deposits[].reason": ["held"]},
    ),
]

MANAGING = [
    Row("create", create(), {"http": 201}),
    Row("list", get("/v1/invoices", after=PLAIN), THE_FIRST),
    Row("archive", post(f"{ONE}/archive", after=PLAIN), {"http": 200, "archived": True}),
    Row("archived, still there", get(ONE, after=invoice(ARCHIVED)), {"http": 200, "id": "{id}"}),
    Row("delete", get(ONE, after=invoice(asked("DELETE", ONE), provision=False)), {"http": 404}),
    Row("delete: once it had an address", delete(ONE, after=PLAIN), {"http": 409}),
    Row("transactions", get("/v1/deposits", after=invoice(seen("20"))), {"data[].tx_hash": ["{tx_hash}"]}),
    Row(
        "transactions: Pending",
        get("/v1/deposits", state="detected,confirming", after=invoice(seen("20"))),
        {"data[].state": ["detected"]},
    ),
    Row(
        "transactions: Confirmed",
        get("/v1/deposits", state="confirmed", after=invoice(final("20", BAD))),
        {"data[].state": ["confirmed"]},
    ),
    Row(
        "transactions: Settled",
        get("/v1/deposits", state="settled", after=invoice(final("20"))),
        {"data[].state": ["settled"]},
    ),
    Row(
        "transactions: Failed",
        get("/v1/deposits", state="orphaned", after=invoice(final("20"), TAKEN_BACK)),
        {"data[].state": ["orphaned"]},
    ),
]

BESIDE = [
    Row(
        "collect/invoices",
        post("/v1/sweeps/preview", {}, after=invoice(final("20"))),
        {"deposits[].invoice": ["{id}"], "deposits[].collected": [True]},
    ),
    Row(
        "collect/info",
        post("/v1/sweeps/preview", {"invoices": ["{id}"]}, after=invoice(final("20"))),
        {"sums[0].gross": "20", "sums[0].fee": is_there, "sums[0].net": "20"},
    ),
    Row(
        "collect",
        post("/v1/sweeps", {"invoices": ["{id}"]}, after=invoice(final("20"))),
        {"http": 201, "sweeps[].gross": ["20"]},
    ),
    Row("funds", get("/v1/balances", method="polygon_usdt", after=invoice(final("20"))), {"data[0].deposits": "20"}),
    Row(
        "key generate",
        post("/v1/api_keys", {"name": "till", "preset": "till"}),
        {"http": 201, "key": starts("pn_sim_")},
    ),
    Row("key info", get("/v1/api_keys/current"), {"scopes": is_there}),
    Row(
        "key revoke",
        delete("/v1/api_keys/{id}", after=post("/v1/api_keys", {"name": "till"})),
        {"http": 200, "state": "revoked"},
    ),
    Row("webhook {url, secret}", post("/v1/webhook_endpoints", HEX), {"http": 201, "signature_format": "hex"}),
    Row(
        "webhook HMAC in hex",
        told("invoice.deposit_detected", invoice(asked("POST", "/v1/webhook_endpoints", HEX), seen("20"))),
        {"": is_signed_in_hex},
    ),
    NotYet("withdrawals", PAYOUTS, get("/v1/payouts")),
    NotYet("limits", PAYOUTS, get("/v1/payout_limits")),
    NotYet("fees", PAYOUTS, get("/v1/fees")),
]

TABLES = {
    "Types": TYPES,
    "Making an invoice": CREATING,
    "Paying it": PAYING,
    "States": STATES,
    "Filters": FILTERS,
    "Screening": SCREENING,
    "Looking after invoices": MANAGING,
    "Beside invoices": BESIDE,
}
