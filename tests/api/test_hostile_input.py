"""No bytes from anybody make a 5xx; what is not strict JSON is refused before anybody acts on it."""

import json
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.conftest import Api, World

from paynode.api.body import BYTES_MAX, DEPTH_MAX, Form, Number, read_form
from paynode.api.refusals import Refusal
from paynode.domain.errors import PROBLEMS_MAX, Invalid

GOOD = b'{"amount": "1", "currency": "USD"}'

MALFORMED = {
    "not JSON": b"amount=1",
    "half of it": b'{"amount": "1"',
    "two values": GOOD + GOOD,
    "a duplicate key": b'{"amount": "1", "amount": "2", "currency": "USD"}',
    "a duplicate key by escapes": b'{"amount": "1", "\\u0061mount": "2", "currency": "USD"}',
    "a duplicate key inside": b'{"amount": "1", "currency": "USD", "metadata": {"a": "1", "a": "2"}}',
    "NaN": b'{"amount": NaN, "currency": "USD"}',
    "Infinity": b'{"amount": -Infinity, "currency": "USD"}',
    "NUL": b'{"amount": "1", "currency": "USD", "name": "a\\u0000b"}',
    "NUL in a key": b'{"amount": "1", "currency": "USD", "metadata": {"\\u0000": "x"}}',
    "a raw NUL": b'{"amount": "1", "currency": "USD", "name": "a\x00b"}',
    "a raw newline in a string": b'{"amount": "1", "currency": "USD", "name": "a\nb"}',
    "a lone surrogate": b'{"amount": "1", "currency": "USD", "name": "\\ud800"}',
    "surrogates the wrong way round": b'{"amount": "1", "currency": "USD", "name": "\\udc00\\ud800"}',
    "an encoded surrogate": b'{"amount": "1", "currency": "USD", "name": "\xed\xa0\x80"}',
    "not UTF-8": b'{"amount": "1", "currency": "USD", "name": "\xff\xfe"}',
    "overlong UTF-8": b'{"amount": "1", "currency": "USD", "name": "\xc0\xaf"}',
    "UTF-16": GOOD.decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "a comment": b'{"amount": "1", /* one */ "currency": "USD"}',
    "a trailing comma": b'{"amount": "1", "currency": "USD",}',
    "single quotes": b"{'amount': '1', 'currency': 'USD'}",
    "a leading zero": b'{"amount": 01, "currency": "USD"}',
    "deep arrays": b'{"amount": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "only openings": b"[" * (BYTES_MAX - 1),
    "blanks": b"   ",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_not_strict_json_is_a_400(api: Api, raw: bytes) -> None:
    reply = await api.send("POST", "/v1/invoices", raw=raw)
    assert (reply.status, reply.json["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"text"', b"null", b"true"])
async def test_json_that_is_no_object_is_a_422(api: Api, raw: bytes) -> None:
    reply = await api.send("POST", "/v1/invoices", raw=raw)
    assert (reply.status, reply.problems) == (422, {"": "not_an_object"})


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
    ],
)
async def test_only_uncompressed_json_is_taken(api: Api, headers: Mapping[str, str]) -> None:
    reply = await api.send("POST", "/v1/invoices", raw=GOOD, headers=headers)
    assert (reply.status, reply.json["code"]) == (415, "unsupported_media_type")


async def test_a_charset_may_be_named(api: Api) -> None:
    reply = await api.send(
        "POST", "/v1/invoices", raw=GOOD, headers={"Content-Type": "application/json; charset=UTF-8"}
    )
    assert reply.status == 201


async def test_a_body_may_be_so_large_and_not_larger(api: Api) -> None:
    padded = GOOD + b" " * (BYTES_MAX - len(GOOD))
    assert (await api.send("POST", "/v1/invoices", raw=padded)).status == 201
    reply = await api.send("POST", "/v1/invoices", raw=padded + b" ")
    assert (reply.status, reply.json["code"]) == (413, "request_too_large")


def test_a_body_may_be_nested_so_deep_and_not_deeper() -> None:
    class Any(Form, frozen=True):
        a: object

    def nested(depth: int) -> bytes:
        return b'{"a":' + b"[" * (depth - 1) + b'"[[{"' + b"]" * (depth - 1) + b"}"

    assert read_form(Any, "application/json", nested(DEPTH_MAX))
    with pytest.raises(Refusal, match="nested deeper"):
        read_form(Any, "application/json", nested(DEPTH_MAX + 1))


@pytest.mark.parametrize(
    "raw", [b'"' * BYTES_MAX, b'"\\' * (BYTES_MAX // 2), b'{"a":"' + b"\\[" * 30_000, b'"[' * 30_000]
)
def test_odd_strings_take_no_longer_than_others(raw: bytes) -> None:
    # A quadratic reader would take minutes.
    with pytest.raises(Refusal):
        read_form(Form, "application/json", raw)


class Sample(Form, frozen=True):
    name: str
    amount: Number | None = None
    counts: dict[str, int] | None = None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(Refusal, Invalid):
        read_form(Sample, "application/json", raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["name", "amount", "counts", "x"]), JSON))
def test_any_json_is_read_or_refused(value: dict[str, object]) -> None:
    with suppress(Refusal, Invalid):
        read_form(Sample, "application/json", json.dumps(value).encode())


PATHS = [
    "/v1/invoices/%00",
    "/v1/invoices/%ff%fe",
    "/v1/invoices/%ed%a0%80",
    "/v1/invoices/..%2f..%2fetc%2fpasswd",
    "/v1/invoices/" + "x" * 4000,
    "/v1/invoices/' or '1'='1",
    "/v1/deposits/%0d%0aX-Evil:1",
    "/v1/events/\u202e",
    "/v1/networks/%25s",
    "/checkout/%00",
    "/checkout/%F0%9F%98%80/addresses",
    "//v1/status",
    "/v1//invoices",
    "/v1/invoices/",
    "/../../v1/status",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "BREW", "TRACE"])
async def test_no_path_makes_a_server_error(world: World, path: str, method: str) -> None:
    reply = await world.caller(of_node=True).send(method, path, raw=None if method == "GET" else b"{}")
    assert reply.status in {404, 405}


HEADERS = [
    {"Authorization": "Bearer \xff\xfe"},
    {"Authorization": "Bearer " + "x" * 4000},
    {"Authorization": "Basic cG46cG4="},
    {"Authorization": "Bearer pn_sim__"},
    {"Authorization": "Bearer pn_sim_\x00_\x00"},
    {"X-Api-Key": "pn_live_a_b"},
    {"X-Api-Key": "' or 1=1 --"},
]


@pytest.mark.parametrize("headers", HEADERS)
async def test_no_key_makes_a_server_error(world: World, headers: dict[str, str]) -> None:
    assert (await Api(world.app, None).send("GET", "/v1/invoices", headers=headers)).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:notaport"},
        {"Host": "a b\x7f"},
        {"X-Forwarded-For": "1.2.3.4, , ::, \xff, " + "9," * 2000},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Request-Id": "forged"},
        {"Accept": "text/html"},
        {"Cookie": "session=" + "x" * 4000},
        {"Range": "bytes=0-1"},
        {"If-None-Match": "*"},
        {"Content-Length": "-1"},
        {"X-HTTP-Method-Override": "DELETE"},
    ],
)
async def test_odd_headers_change_nothing(world: World, api: Api, headers: dict[str, str]) -> None:
    invoice = await api.invoice()
    reply = await api.send("GET", f"/v1/invoices/{invoice['id']}", headers=headers)
    assert reply.json == invoice
    assert "evil" not in str(reply.headers)
    assert reply.headers["X-Request-Id"] != "forged"


async def test_a_bug_is_answered_without_its_details_and_logged_with_the_request_id(
    world: World, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    world.shop.database.write(lambda tx: tx.run("drop table rates"))
    reply = await api.post("/v1/invoices", {"amount": "1", "currency": "USD"})
    assert (reply.status, reply.json["code"]) == (500, "internal_error")
    assert b"rates" not in reply.raw
    assert b"Traceback" not in reply.raw
    logged = capsys.readouterr().out
    assert reply.json["request_id"] in logged
    assert "no such table: rates" in logged
    assert api.key is not None
    assert api.key not in logged
    assert (await api.get("/v1/invoices")).json["data"] == []


async def test_an_answer_is_short_however_much_is_wrong(world: World, api: Api) -> None:
    fields = {f"x{number}": 0 for number in range(5000)}
    for reply in (
        await Api(world.app, None).send("GET", "/v1/status?" + "&".join(fields)),
        await api.post("/v1/invoices", fields),
        await api.post("/v1/invoices", {"amount": "1", "currency": "USD", "methods": [*fields]}),
    ):
        assert reply.status == 422
        assert 0 < len(reply.json["errors"]) <= PROBLEMS_MAX
        assert len(reply.raw) < 20_000
