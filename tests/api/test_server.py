"""The server on a real socket: its limits hold, broken clients hurt nobody else, and it always stops."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from hypercorn.typing import ASGIFramework
from tests.api.conftest import World
from tests.lab.shop import NOW
from trio.testing import wait_all_tasks_blocked

from paynode.api import app as api_app
from paynode.api import server
from paynode.api.app import create_app
from paynode.api.body import BYTES_MAX
from paynode.api.node import ApiNode

BODY = b'{"amount": "1", "currency": "USD"}'


class Served:
    """A running server."""

    def __init__(self, url: str, stop: trio.Event) -> None:
        self.port = int(url.rpartition(":")[2])
        self.stop = stop

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask(self, raw: bytes) -> bytes:
        """Send `raw`, and read until the server closes."""
        async with await self.connect() as stream:
            await stream.send_all(raw)
            return await read_all(stream)


@asynccontextmanager
async def serving(app: ASGIFramework) -> AsyncIterator[Served]:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        urls = await nursery.start(partial(server.serve, app, ["127.0.0.1:0"], stop=stop))
        with trio.fail_after(120):
            yield Served(urls[0], stop)
        stop.set()


async def read_all(stream: trio.SocketStream) -> bytes:
    received = b""
    try:
        async for data in stream:
            received += data
    except trio.BrokenResourceError:
        pass
    return received


def request(method: str = "GET", path: str = "/v1/status", *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: shop.example", "Connection: close", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin1") + body


async def endless(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})


@pytest.fixture
def app(world: World) -> ASGIFramework:
    return world.app


@pytest.fixture
def authorization(world: World) -> str:
    return f"Authorization: Bearer {world.caller().key}"


async def test_a_request_is_answered_without_naming_the_server(app: ASGIFramework, authorization: str) -> None:
    async with serving(app) as served:
        answer = await served.ask(request("POST", "/v1/invoices", authorization, body=BODY))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201")
    assert b"server:" not in head.lower()
    assert json.loads(body)["amount"] == "1"


async def test_a_connection_serves_many_requests_also_pipelined(app: ASGIFramework) -> None:
    one = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(app) as served:
        answer = await served.ask(one * 4 + request())
    assert answer.count(b"HTTP/1.1 200") == 5


async def test_a_body_too_large_is_refused_before_it_is_read(app: ASGIFramework, authorization: str) -> None:
    declared = request("POST", "/v1/invoices", authorization, "Content-Type: application/json")[:-2]
    async with serving(app) as served:
        announced = await served.ask(declared + b"Content-Length: 16777216\r\n\r\n" + b" " * 300_000)
        chunk = b"%x\r\n" % (BYTES_MAX + 1) + b" " * (BYTES_MAX + 1) + b"\r\n0\r\n\r\n"
        chunked = await served.ask(declared + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    assert announced.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in announced
    assert chunked.startswith(b"HTTP/1.1 413")


async def test_an_answer_that_ends_the_connection_says_so(app: ASGIFramework, authorization: str) -> None:
    head = "POST /v1/invoices HTTP/1.1", "Host: x", authorization, "Content-Type: application/json"
    declared = "\r\n".join([*head, "Content-Length: 16777216", "", ""]).encode()
    async with serving(app) as served:
        refused = await served.ask(declared + b" " * 300_000)
        kept = await served.ask(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n" + request())
    assert refused.startswith(b"HTTP/1.1 413")
    assert b"\r\nconnection: close\r\n" in refused.lower()
    assert b"connection: close" not in kept.partition(b"\r\n\r\n")[0].lower()


async def test_a_body_that_drips_is_given_up(world: World, authorization: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_app, "BODY_SECONDS", 0.2)
    app = create_app(_node(world))
    async with serving(app) as served, await served.connect() as stream:
        await stream.send_all(request("POST", "/v1/invoices", authorization, body=BODY)[:-5])
        answer = await read_all(stream)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in answer


async def test_a_head_that_drips_is_given_up(app: ASGIFramework, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.2)
    async with serving(app) as served, await served.connect() as stream:
        await stream.send_all(b"GET /v1/status HTTP/1.1\r\nHost:")
        assert await read_all(stream) == b""


async def test_a_head_too_large_is_refused(app: ASGIFramework) -> None:
    async with serving(app) as served:
        answer = await served.ask(request("GET", "/v1/status", "X-Large: " + "x" * 40_000))
    assert answer.startswith(b"HTTP/1.1 431")


async def test_a_client_that_stops_reading_does_not_keep_the_server_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "GRACE_SECONDS", 0.3)
    started = trio.current_time()
    async with serving(endless) as served:
        stream = await served.connect()
        await stream.send_all(request())
        await wait_all_tasks_blocked(0.1)
    assert trio.current_time() - started < server.SEND_SECONDS
    await stream.aclose()


async def test_a_client_that_stops_reading_loses_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEND_SECONDS", 0.2)
    ended = trio.Event()

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(endless, scope, receive, send)
            while (await receive())["type"] != "http.disconnect":
                pass
            nursery.cancel_scope.cancel()
        ended.set()

    async with serving(watched) as served, await served.connect() as stream:
        await stream.send_all(request())
        await ended.wait()


async def test_a_long_answer_is_sent_in_parts_that_each_have_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, send_all, body = [], trio.SocketStream.send_all, b"x" * 300_000

    async def noted(stream: trio.SocketStream, data: bytes) -> None:
        sizes.append(len(data))
        await send_all(stream, data)

    async def long(scope: Any, receive: Any, send: Any) -> None:
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    monkeypatch.setattr(trio.SocketStream, "send_all", noted)
    async with serving(long) as served:
        assert (await served.ask(request())).endswith(body)
    assert max(sizes) <= server.SEND_BYTES


async def test_a_request_under_way_is_answered_before_the_server_stops() -> None:
    arrived, go_on = trio.Event(), trio.Event()

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        arrived.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done", "more_body": False})

    async with serving(slow) as served, await served.connect() as stream:
        await stream.send_all(request())
        await arrived.wait()
        served.stop.set()
        await wait_all_tasks_blocked()
        go_on.set()
        assert (await read_all(stream)).endswith(b"done")


async def test_an_idle_connection_ends_when_the_server_stops(app: ASGIFramework) -> None:
    async with serving(app) as served, await served.connect() as stream:
        await wait_all_tasks_blocked()
        served.stop.set()
        assert await read_all(stream) == b""


@pytest.mark.parametrize("begun", [b"", request("POST", f"/checkout/inv_{'0' * 26}/methods/x", body=BODY)[:-1]])
async def test_when_full_the_connection_that_waited_longest_makes_room(
    app: ASGIFramework, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 2)
    async with serving(app) as served:
        first, second = await served.connect(), await served.connect()
        await first.send_all(begun)
        await wait_all_tasks_blocked(0.05)
        assert (await served.ask(request())).startswith(b"HTTP/1.1 200")
        assert await read_all(first) == b""
        await second.send_all(request())
        assert (await read_all(second)).startswith(b"HTTP/1.1 200")
        await first.aclose()
        await second.aclose()


async def test_a_request_being_served_makes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 1)
    arrived, go_on = trio.Event(), trio.Event()

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        arrived.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done", "more_body": False})

    async with serving(slow) as served, await served.connect() as stream:
        await stream.send_all(request())
        await arrived.wait()
        assert await served.ask(request()) == b""
        go_on.set()
        assert (await read_all(stream)).endswith(b"done")


async def test_a_client_that_asks_whether_to_send_its_body_is_told_to(app: ASGIFramework, authorization: str) -> None:
    asked = request("POST", "/v1/invoices", authorization, "Expect: 100-continue", body=BODY)
    async with serving(app) as served, await served.connect() as stream:
        await stream.send_all(asked.removesuffix(BODY))
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 100")
        await stream.send_all(BODY)
        assert (await read_all(stream)).startswith(b"HTTP/1.1 201")


async def test_an_answer_to_head_has_the_length_and_no_body(app: ASGIFramework) -> None:
    async with serving(app) as served:
        head, _, body = (await served.ask(request("HEAD"))).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: 62" in head.lower()
    assert body == b""


async def test_a_bug_on_one_connection_ends_no_other(app: ASGIFramework, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(app) as served, await served.connect() as healthy:
        await wait_all_tasks_blocked()
        with monkeypatch.context() as broken:
            broken.setattr(server.Connection, "_read_data", _broken)
            assert await served.ask(request()) == b""
        await healthy.send_all(request())
        assert (await read_all(healthy)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"\x00" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS greeting
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n\r\n",  # no Host
        b"GET ? HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET http://[bad/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET //[:: HTTP/1.1\r\nHost: [::\r\nConnection: close\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: [::\r\nConnection: close\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n",
        b"CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        request("GET", "/v1/status", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
        request("GET", "/v1/status", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x") + b"\xff",
        b"POST /v1/invoices HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/invoices HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/invoices HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        b"GET /v1/\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%2e%2e/%00?%ff&a[]=1&=%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
async def test_no_bytes_make_a_server_error_or_stop_the_server(
    app: ASGIFramework, raw: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(app) as served:
        async with await served.connect() as stream:
            await stream.send_all(raw)
            await stream.send_eof()
            answer = await read_all(stream)
        assert not answer.startswith(b"HTTP/1.1 5")
        assert b"HTTP/1.1 101" not in answer
        assert (await served.ask(request())).startswith(b"HTTP/1.1 200")
    assert capsys.readouterr().out == ""


def _node(world: World) -> ApiNode:
    return ApiNode(
        world.shop.database,
        world.shop.catalogue,
        lambda family, account, index: "",
        lambda family, text: text,
        world.clock,
        lambda url: None,
        "1.2.3",
        NOW,
        dict,
    )


async def _broken(_self: server.Connection) -> None:
    raise KeyError("a bug")
