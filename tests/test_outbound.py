"""The guarded client against a real receiver on loopback.

Names come from a table instead of DNS; a canary stands in for the sockets where
a test must not, or may not, reach the network. Deadlines are real but short.
"""

import gc
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import h11
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from paynode import outbound as module
from paynode.outbound import BODY_BYTES_MAX, EXCERPT_BYTES_MAX, Answer, Failed, Outbound, Refused, Target

SHORT_SECONDS = 0.2
PATIENCE_SECONDS = 60  # only a failing test waits so long
LONG_SECONDS = 10 * PATIENCE_SECONDS  # a deadline that none of them can wait for
FLOOD_CHUNK, FLOOD_CHUNKS_COUNT = b"x" * 65536, 320  # 20 MiB
UNREAD_BYTES = 16 * 1024 * 1024  # more than the sockets of both sides hold


@dataclass
class Receiver:
    """An HTTP server on 127.0.0.1 whose manners are chosen by the path."""

    port: int = 0
    connections_count: int = 0
    flooded_bytes: int = 0
    elsewhere: str = "http://192.0.2.1/"
    server_names: list[str] = field(default_factory=list)
    requests: list[tuple[h11.Request, bytes]] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def allow(self) -> list[str]:
        return [f"127.0.0.1:{self.port}"]

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections_count += 1
        connection = h11.Connection(h11.SERVER)
        try:
            while True:
                request, body = None, b""
                while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                    if event is h11.NEED_DATA:
                        connection.receive_data(await stream.receive_some())
                    elif isinstance(event, h11.Request):
                        request = event
                    elif isinstance(event, h11.Data):
                        body += event.data
                    else:
                        return
                assert request is not None
                self.requests.append((request, body))
                if not await self.answer(stream, request.target.decode().partition("?")[0]):
                    return
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
        except trio.BrokenResourceError:
            return
        finally:
            await stream.aclose()

    async def answer(self, stream: trio.abc.Stream, path: str) -> bool:
        """Answer the request; False if the connection is spoilt."""
        match path.strip("/").split("/", 1):
            case ["status", status]:
                await stream.send_all(f"HTTP/1.1 {status} So\r\ncontent-length: 6\r\n\r\nthanks".encode())
                return True
            case ["headers", lines]:
                head = lines.replace("_", " ").replace("|", "\r\n")
                await stream.send_all(f"HTTP/1.1 503 No\r\ncontent-length: 0\r\n{head}\r\n\r\n".encode())
                return True
            case ["redirect"]:
                await stream.send_all(
                    f"HTTP/1.1 307 Go\r\nlocation: {self.elsewhere}\r\ncontent-length: 0\r\n\r\n".encode()
                )
                return True
            case ["hang"]:
                await trio.sleep_forever()
            case ["drip-head"]:
                await self.drip(stream, b"HTTP/1.1 200 OK\r\nx: ", b"x")
            case ["drip-interim"]:
                await self.drip(stream, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")
            case ["drip-body"]:
                await self.drip(stream, b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", b"x")
            case ["endless-head"]:
                await self.flood(stream, b"HTTP/1.1 200 OK\r\nx: ")
            case ["flood"]:
                await self.flood(stream, b"HTTP/1.1 200 OK\r\n\r\n")
            case ["half"]:
                await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            case ["garbage"]:
                await stream.send_all(b"SSH-2.0-OpenSSH\r\n")
            case ["close"]:
                pass
        return False

    async def drip(self, stream: trio.abc.Stream, start: bytes, drop: bytes) -> None:
        await stream.send_all(start)
        while True:
            await stream.send_all(drop)
            await trio.sleep(SHORT_SECONDS / 20)

    async def flood(self, stream: trio.abc.Stream, start: bytes) -> None:
        await stream.send_all(start)
        for _ in range(FLOOD_CHUNKS_COUNT):
            await stream.send_all(FLOOD_CHUNK)
            self.flooded_bytes += len(FLOOD_CHUNK)


@dataclass
class Names(trio.abc.HostnameResolver):
    """DNS as a table: each name's answers, one after the other; the last one stays."""

    answers: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)
    hangs: bool = False

    async def getaddrinfo(
        self, host: bytes | None, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        assert host is not None
        name = host.decode()
        self.asked.append(name)
        if self.hangs:
            await trio.sleep_forever()
        if name not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        answers = self.answers[name]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (socket.AF_INET6, type, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, type, 6, "", (address, port))
            for address in addresses
        ]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise AssertionError


@dataclass
class Canary(trio.abc.SocketFactory):
    """Notes every address a connection is tried to, and lets none through."""

    contacted: list[str] = field(default_factory=list)

    def socket(self, *_: object) -> trio.socket.SocketType:
        return CanarySocket(self.contacted)


class CanarySocket(trio.socket.SocketType):
    def __init__(self, contacted: list[str]) -> None:
        self.contacted = contacted

    def setsockopt(self, *_: object) -> None:
        pass

    async def connect(self, address: Any) -> None:
        self.contacted.append(address[0])
        raise ConnectionRefusedError

    def close(self) -> None:
        pass


async def listen(nursery: trio.Nursery, receiver: Receiver, wrap: Callable[[Any], Any] = lambda stream: stream) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await receiver.serve(wrap(stream))

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    receiver.port = listeners[0].socket.getsockname()[1]


@pytest.fixture
async def receiver(nursery: trio.Nursery) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await listen(nursery, receiver)
    yield receiver
    nursery.cancel_scope.cancel()


@pytest.fixture
async def sentinel(nursery: trio.Nursery) -> Receiver:
    """A server that nobody may reach."""
    sentinel = Receiver()
    await listen(nursery, sentinel)
    return sentinel


def use_canary() -> Canary:
    canary = Canary()
    trio.socket.set_custom_socket_factory(canary)
    return canary


def use_names(**answers: list[list[str]]) -> Names:
    names = Names({name.replace("_", "."): given for name, given in answers.items()})
    trio.socket.set_custom_hostname_resolver(names)
    return names


async def post(outbound: Outbound, url: str, deadline_seconds: float = 15) -> Answer:
    return await outbound.post(
        url, body=b'{"id": 1}', headers={"content-type": "application/json"}, deadline_seconds=deadline_seconds
    )


async def test_the_receiver_gets_the_post_and_we_get_its_answer(receiver: Receiver) -> None:
    async with Outbound(receiver.allow) as outbound:
        answer = await post(outbound, receiver.url("/status/201?a=b#fragment"))
    assert (answer.status, answer.excerpt, answer.retry_after) == (201, b"thanks", None)
    assert answer.duration_seconds > 0
    [(request, body)] = receiver.requests
    headers = dict(request.headers)
    assert (request.method, request.target, body) == (b"POST", b"/status/201?a=b", b'{"id": 1}')
    assert headers[b"host"] == f"127.0.0.1:{receiver.port}".encode()
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"content-length"] == b"9"


async def test_posts_one_after_the_other_share_a_connection(receiver: Receiver) -> None:
    async with Outbound(receiver.allow) as outbound:
        for _ in range(20):
            await post(outbound, receiver.url("/status/200"))
    assert receiver.connections_count == 1


async def test_a_connection_the_receiver_closed_meanwhile_is_replaced(receiver: Receiver) -> None:
    async with Outbound(receiver.allow) as outbound:
        for path in ("/half", "/status/200", "/flood", "/status/200"):
            assert (await post(outbound, receiver.url(path))).status == 200
    assert receiver.connections_count == 3


async def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver, sentinel: Receiver) -> None:
    receiver.elsewhere = sentinel.url("/status/200")
    async with Outbound(receiver.allow + sentinel.allow) as outbound:
        assert (await post(outbound, receiver.url("/redirect"))).status == 307
    assert sentinel.connections_count == 0


@pytest.mark.parametrize("path", ["/hang", "/drip-head", "/drip-interim"])
async def test_a_receiver_that_does_not_come_to_an_answer_is_left_at_the_deadline(
    receiver: Receiver, path: str
) -> None:
    async with Outbound(receiver.allow) as outbound:
        with trio.fail_after(PATIENCE_SECONDS), pytest.raises(Failed, match="deadline"):
            await post(outbound, receiver.url(path), SHORT_SECONDS)


@pytest.mark.parametrize("path", ["/close", "/garbage", "/endless-head"])
async def test_a_receiver_that_does_not_speak_http_is_a_failure(receiver: Receiver, path: str) -> None:
    async with Outbound(receiver.allow) as outbound:
        with pytest.raises(Failed):
            await post(outbound, receiver.url(path))
    assert receiver.flooded_bytes < len(FLOOD_CHUNK) * FLOOD_CHUNKS_COUNT


async def test_a_body_cut_short_does_not_change_the_status(receiver: Receiver) -> None:
    async with Outbound(receiver.allow) as outbound:
        answer = await post(outbound, receiver.url("/half"))
    assert (answer.status, answer.excerpt) == (200, b"half")


async def test_a_body_that_drips_is_not_waited_for(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BODY_SECONDS", SHORT_SECONDS)
    async with Outbound(receiver.allow) as outbound:
        with trio.fail_after(PATIENCE_SECONDS):
            answer = await post(outbound, receiver.url("/drip-body"), LONG_SECONDS)
    assert answer.status == 200
    assert set(answer.excerpt) <= {ord("x")}


async def test_a_flood_of_20_mb_is_hung_up_on(receiver: Receiver) -> None:
    async with Outbound(receiver.allow) as outbound:
        answer = await post(outbound, receiver.url("/flood"))
    assert (answer.status, len(answer.excerpt)) == (200, EXCERPT_BYTES_MAX)
    assert BODY_BYTES_MAX < receiver.flooded_bytes < len(FLOOD_CHUNK) * FLOOD_CHUNKS_COUNT


async def test_fifty_hanging_receivers_do_not_hold_up_a_good_one(
    receiver: Receiver, sentinel: Receiver, nursery: trio.Nursery
) -> None:
    async with Outbound(receiver.allow + sentinel.allow) as outbound, trio.open_nursery() as posts:
        for _ in range(50):
            posts.start_soon(post, outbound, sentinel.url("/hang"), LONG_SECONDS)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(PATIENCE_SECONDS):
            assert (await post(outbound, receiver.url("/status/200"))).status == 200
        posts.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("retry-after:_120", timedelta(seconds=120)),
        ("Retry-After:_0", timedelta(0)),
        ("retry-after:_-5", None),
        ("retry-after:_1.5", None),
        ("retry-after:_soon", None),
        ("retry-after:_" + "9" * 5000, None),
        ("retry-after:_Fri,_02_Jan_2026_00:00:00_GMT", None),
        (
            "retry-after:_Fri,_02_Jan_2026_00:00:00_GMT|date:_Thu,_01_Jan_2026_23:58:00_GMT",
            timedelta(minutes=2),
        ),
        ("retry-after:_Thu,_01_Jan_2026_00:00:00_GMT|date:_Fri,_02_Jan_2026_00:00:00_GMT", timedelta(0)),
    ],
)
async def test_retry_after_is_read_as_seconds_or_against_the_receivers_own_clock(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, lines: str, expected: timedelta | None
) -> None:
    monkeypatch.setattr(module, "URL_LENGTH_MAX", 10_000)
    async with Outbound(receiver.allow) as outbound:
        answer = await post(outbound, receiver.url(f"/headers/{lines}"))
    assert (answer.status, answer.retry_after) == (503, expected)


LOOPBACK_SPELLINGS = """
127.0.0.1 2130706433 0x7f000001 0x7f.1 127.1 127.0.1 0177.0.0.1 017700000001 127.000.000.001 0 0.0.0.0 127.0.0.1.
①②⑦.⓪.⓪.① \uff11\uff12\uff17.0.0.1 127。0。0。1 [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1]
[::127.0.0.1] [64:ff9b::127.0.0.1] [2002:7f00:1::] [::1%25lo] [fe80::1%25lo] %31%32%37.0.0.1
local.example LOCAL.example local.example. mixed.example mapped.example
"""


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS.split())
async def test_no_spelling_of_a_forbidden_address_is_contacted(sentinel: Receiver, host: str) -> None:
    names = use_names(
        local_example=[["127.0.0.1"]],
        local_example_=[["127.0.0.1"]],
        mixed_example=[["1.1.1.1", "10.0.0.1"]],
        mapped_example=[["::ffff:169.254.169.254"]],
    )
    names.answers["127.0.0.1."] = [["127.0.0.1"]]
    async with Outbound() as outbound:
        with pytest.raises(Refused):
            await post(outbound, sentinel.url("/status/200", host))
        canary = use_canary()
        with pytest.raises(Refused):
            await post(outbound, sentinel.url("/status/200", host))
    assert (canary.contacted, sentinel.connections_count) == ([], 0)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "//shop.example/",
        "/path",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "https:shop.example",
        "https:///path",
        "https://user@shop.example/",
        "https://user:password@shop.example/",
        "https://:@shop.example/",
        "https://shop.example\\@127.0.0.1/",
        "https://shop.example\\.evil.example/",
        "https://shop.example/\r\nHost: evil",
        "https://shop.example/\x00",
        "https://shop.example/a b",
        " https://shop.example/",
        "https://shop.example/\u2028",
        "https://shop .example/",
        "https://shop%00.example/",
        "https://shop.example:0/",
        "https://shop.example:65536/",
        "https://shop.example:8o/",
        "https://shop.example:22/",
        "http://shop.example:25/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://sh,op.example/",
        "https://shop.example/" + "a" * 2048,
    ],
)
async def test_what_is_not_a_plain_web_address_is_refused_unresolved(url: str) -> None:
    names, canary = use_names(), use_canary()
    async with Outbound() as outbound:
        with pytest.raises(Refused):
            outbound.check(url)
        with pytest.raises(Refused):
            await post(outbound, url)
    assert (canary.contacted, names.asked) == ([], [])


NEVER_PUBLIC = """
127.0.0.1 127.1 2130706433 0x7f000001 017700000001 10.1 0xa9fea9fe 0 [::1] [::ffff:a00:1]
localhost LOCALHOST localhost. shop.localhost localhost.localdomain ip6-localhost
"""


@pytest.mark.parametrize("host", NEVER_PUBLIC.split())
async def test_a_host_that_is_never_public_is_refused_before_its_name_is_asked_for(host: str) -> None:
    names = use_names()
    async with Outbound() as outbound:
        with pytest.raises(Refused, match="not public"):
            outbound.check(f"http://{host}/hook")
    async with Outbound([f"{host}:80"]) as outbound:
        outbound.check(f"http://{host}/hook")
    assert names.asked == []


@pytest.mark.parametrize("host", ["134744072", "8.8", "mylocalhost.example", "localhost.example", "127.example"])
async def test_a_host_that_may_be_public_is_left_to_its_name(host: str) -> None:
    async with Outbound() as outbound:
        outbound.check(f"http://{host}/hook")


@pytest.mark.parametrize(
    ("url", "target", "host_header"),
    [
        ("https://shop.example", Target("https", "shop.example", 443, b"/"), "shop.example"),
        ("HTTP://Shop.Example:80/a?b=c#d", Target("http", "shop.example", 80, b"/a?b=c"), "shop.example"),
        ("https://shop.example:8443/ä", Target("https", "shop.example", 8443, b"/%C3%A4"), "shop.example:8443"),
        ("https://bücher.example/", Target("https", "xn--bcher-kva.example", 443, b"/"), "xn--bcher-kva.example"),
        ("https://my_shop.example/", Target("https", "my_shop.example", 443, b"/"), "my_shop.example"),
        ("https://[2606:4700::1]:8443/", Target("https", "2606:4700::1", 8443, b"/"), "[2606:4700::1]:8443"),
        ("https://shop.example:80/", Target("https", "shop.example", 80, b"/"), "shop.example:80"),
    ],
)
async def test_a_plain_web_address_is_parsed_into_its_parts(url: str, target: Target, host_header: str) -> None:
    async with Outbound() as outbound:
        assert outbound.check(url) == target
    assert target.host_header == host_header


@given(st.text() | st.text().map("https://shop.example/".__add__) | st.text().map("http://".__add__))
def test_any_text_is_refused_or_becomes_a_lawful_request(text: str) -> None:
    try:
        target = Target.parse(text)
    except Refused:
        return
    h11.Request(method="POST", target=target.path, headers=[("Host", target.host_header)])
    assert target.host.isascii()


async def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    canary, names = use_canary(), use_names(shop_example=[["1.1.1.1"], ["127.0.0.1"]])
    async with Outbound() as outbound:
        with pytest.raises(Failed):
            await post(outbound, "https://shop.example/")
        with pytest.raises(Refused):
            await post(outbound, "https://shop.example/")
    assert (canary.contacted, names.asked) == (["1.1.1.1"], ["shop.example"] * 2)


async def test_a_reason_does_not_tell_the_forbidden_address() -> None:
    use_names(db_internal=[["10.1.2.3"]])
    async with Outbound() as outbound:
        with pytest.raises(Refused) as refused:
            await post(outbound, "https://db.internal/")
    assert "10.1.2.3" not in refused.value.reason


async def test_only_the_allowed_host_and_port_may_be_private(receiver: Receiver, sentinel: Receiver) -> None:
    use_names(shop_lan=[["127.0.0.1"]], shop_lan_=[["127.0.0.1"]], other_lan=[["127.0.0.1"]])
    async with Outbound([f"Shop.LAN:{receiver.port}"]) as outbound:
        assert (await post(outbound, receiver.url("/status/200", "shop.lan"))).status == 200
        for url in (
            receiver.url("/", "other.lan"),
            receiver.url("/", "127.0.0.1"),
            receiver.url("/", "shop.lan."),
            sentinel.url("/", "shop.lan"),
        ):
            with pytest.raises(Refused):
                await post(outbound, url)
    assert (receiver.connections_count, sentinel.connections_count) == (1, 0)


@pytest.mark.parametrize(
    "entry", ["", "shop.lan", ":8000", "shop.lan:", "shop.lan:http", "shop.lan:\uff18\uff10", "[::1]"]
)
def test_an_allowed_target_needs_a_host_and_a_port(entry: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Outbound([entry])


async def test_a_dead_address_is_passed_over_for_the_next(receiver: Receiver) -> None:
    use_names(shop_lan=[["127.0.0.2", "127.0.0.1"]])
    async with Outbound([f"shop.lan:{receiver.port}"]) as outbound:
        assert (await post(outbound, receiver.url("/status/200", "shop.lan"))).status == 200


async def test_a_name_that_does_not_resolve_is_a_failure() -> None:
    use_names()
    async with Outbound() as outbound:
        for host in ("nowhere.example", "a" * 70 + ".example", "a..example"):
            with pytest.raises(Failed, match="resolve"):
                await post(outbound, f"https://{host}/")


async def test_a_look_up_that_hangs_is_left_at_the_deadline() -> None:
    use_names().hangs = True
    async with Outbound() as outbound:
        with trio.fail_after(PATIENCE_SECONDS), pytest.raises(Failed, match="deadline"):
            await post(outbound, "https://shop.example/", SHORT_SECONDS)


async def test_a_post_cut_off_in_its_body_leaves_nothing_to_the_garbage_collector(nursery: trio.Nursery) -> None:
    """The receiver never reads. What is left behind would warn when collected, and a warning fails the test."""
    receiver = Receiver()
    await listen(
        nursery, receiver, lambda stream: trio.StapledStream(stream, trio.testing.memory_stream_one_way_pair()[1])
    )
    async with Outbound(receiver.allow) as outbound:
        with pytest.raises(Failed, match="deadline"):
            await outbound.post(receiver.url("/"), body=bytes(UNREAD_BYTES), headers={}, deadline_seconds=SHORT_SECONDS)
    gc.collect()
    nursery.cancel_scope.cancel()


async def test_proxies_of_the_environment_are_ignored(
    receiver: Receiver, sentinel: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, sentinel.url(""))
    async with Outbound(receiver.allow) as outbound:
        assert (await post(outbound, receiver.url("/status/200"))).status == 200
    assert sentinel.connections_count == 0


def make_certificate(certificate: Path, key: Path) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
    command += " -subj /CN=shop.test -addext subjectAltName=DNS:shop.test"
    subprocess.run([*command.split(), "-out", certificate, "-keyout", key], check=True, capture_output=True)


async def test_tls_names_and_verifies_the_urls_host_not_the_address(nursery: trio.Nursery, tmp_path: Path) -> None:
    """The receiver's certificate is for shop.test alone; two names lead to it."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make_certificate(certificate, key)
    receiver = Receiver()
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_tls.load_cert_chain(certificate, key)
    server_tls.sni_callback = lambda _socket, name, _context: receiver.server_names.append(name or "")
    await listen(nursery, receiver, lambda stream: trio.SSLStream(stream, server_tls, server_side=True))
    use_names(shop_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]])

    trusting = ssl.create_default_context(cafile=str(certificate))
    allow = [f"shop.test:{receiver.port}", f"other.test:{receiver.port}"]
    async with Outbound(allow, tls=trusting) as outbound:
        assert (await post(outbound, f"https://shop.test:{receiver.port}/status/200")).status == 200
        with pytest.raises(Failed, match="TLS"):
            await post(outbound, f"https://other.test:{receiver.port}/status/200")
    async with Outbound(allow) as outbound:
        with pytest.raises(Failed, match="TLS"):
            await post(outbound, f"https://shop.test:{receiver.port}/status/200")
    assert receiver.server_names == ["shop.test", "other.test", "shop.test"]
    assert len(receiver.requests) == 1
    nursery.cancel_scope.cancel()
