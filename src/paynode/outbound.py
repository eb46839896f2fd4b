"""The HTTP client for addresses that users give us.

A callback URL asks us to contact some machine in our own name, so the one rule
here: nothing is contacted unless its *resolved* address is public, or the
operator allowed that very `host:port`. `127.1`, `0x7f000001` and `localhost` are
refused as soon as they are named; a name that points to 10.0.0.1, by what it
resolves to. A name is resolved once per connection, and the connection goes to
an address that was just judged, so no second answer can slip in between (DNS
rebinding). A request that reuses a connection reuses its judged address.

No redirect is followed, no proxy variable is read, no body is unpacked.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import httpcore
import httpx
import trio

from paynode.domain.egress import IPAddress, name_refusal, refusal

URL_LENGTH_MAX = 2048
EXCERPT_BYTES_MAX = 1024
BODY_BYTES_MAX = 64 * 1024  # read to the end up to here, which keeps the connection; past it we hang up
BODY_SECONDS = 1  # the status is the answer; the body is a courtesy and may not hold us
CONNECT_SECONDS = 4  # for one address, so that a dead first one leaves time for the next
CONNECT_ADDRESSES_MAX = 3
KEEPALIVE_SECONDS = 2  # less than servers' usual 5 s: reusing a connection they are closing costs a failed attempt
KEEPALIVE_CONNECTIONS_MAX = 64

DEFAULT_PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")  # a name or IPv4 | IPv6; zone ids and percent signs are neither


class Refused(Exception):
    """Our policy forbids this target; trying again changes nothing. Nothing was contacted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Failed(Exception):
    """The receiver could not be reached or did not answer; trying later may help."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said."""

    status: int
    retry_after: timedelta | None  # how long it asks us to wait, unbounded and not to be trusted
    excerpt: bytes  # the body's beginning, as sent; for the operator's eyes, never for the caller's
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, parsed once; everything that uses the URL uses these parts."""

    scheme: str
    host: str
    port: int
    path: bytes  # with the query

    @classmethod
    def parse(cls, text: str) -> Self:
        """The target `text` names.

        Raises:
            Refused: not a plain http or https URL.
        """
        if len(text) > URL_LENGTH_MAX:
            raise Refused(f"the URL is longer than {URL_LENGTH_MAX} characters")
        if any(character.isspace() or not character.isprintable() or character == "\\" for character in text):
            raise Refused("the URL contains a blank, a control character or a backslash")
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL as error:
            raise Refused("not a URL") from error
        if url.scheme not in DEFAULT_PORTS:
            raise Refused("only http and https are served")
        if url.userinfo:
            raise Refused("the URL contains a user name or password")
        host = url.raw_host.decode("ascii")
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if HOST.fullmatch(host) is None:
            raise Refused("the URL names no valid host")
        if not 0 < port < 65536:
            raise Refused("the URL names no valid port")
        return cls(url.scheme, host, port, url.raw_path)

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class Outbound:
    """Posts to users' addresses; open it once, with `async with`, and share it.

    `allow` lists `host:port` pairs whose addresses are not judged, for shops on
    the local network. They match the URL's own host and port, exactly. Without
    `tls` the usual authorities are trusted, whatever the environment says.
    """

    def __init__(self, allow: Iterable[str] = (), *, tls: ssl.SSLContext | None = None) -> None:
        self._allowed = frozenset((target.host, target.port) for target in map(_allowed_target, allow))
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False) if tls is None else tls,
            max_connections=None,  # the caller bounds its posts; a bound here would let one receiver block the others
            max_keepalive_connections=KEEPALIVE_CONNECTIONS_MAX,
            keepalive_expiry=KEEPALIVE_SECONDS,
            network_backend=_JudgingBackend(self._allowed),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pool.aclose()

    def check(self, url: str) -> Target:
        """The parsed `url`; for telling a user early. Names are not looked up: `post` has the last word.

        Raises:
            Refused: `post` would refuse it too, whatever its name resolves to.
        """
        target = Target.parse(url)
        if (target.host, target.port) in self._allowed:
            return target
        if target.port < 1024 and target.port not in DEFAULT_PORTS.values():
            raise Refused("ports below 1024 other than 80 and 443 belong to other services")
        _judge_unresolved(target.host)
        return target

    async def post(self, url: str, *, body: bytes, headers: Mapping[str, str], deadline_seconds: float = 15) -> Answer:
        """Post `body` and return the answer, whatever its status.

        `headers` are ours, not a user's. The deadline spans everything from the look-up to the last byte.

        Raises:
            Refused: the target is not public and not allowed; nothing was contacted.
            Failed: no answer; it may have received the post all the same.
        """
        target = self.check(url)
        started_at = trio.current_time()
        try:
            with trio.fail_after(deadline_seconds):
                async with self._pool.stream(
                    "POST",
                    httpcore.URL(
                        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path
                    ),
                    headers=[
                        ("Host", target.host_header),
                        ("Accept-Encoding", "identity"),
                        ("Content-Length", str(len(body))),
                        *headers.items(),
                    ],
                    content=_Body(body),
                ) as response:
                    excerpt = await _read_excerpt(response)
        except trio.TooSlowError as error:
            raise Failed("no answer within the deadline") from error
        except httpcore.ConnectError as error:  # the backend maps its own, so this is the handshake
            raise Failed("TLS failed: no handshake, or a certificate that is not valid for the host") from error
        except (httpcore.ReadError, httpcore.WriteError) as error:
            raise Failed("the connection broke") from error
        except httpcore.RemoteProtocolError as error:
            raise Failed("the receiver did not answer in HTTP") from error
        return Answer(response.status, _retry_after(response), excerpt, trio.current_time() - started_at)


class _Body:
    """A post's body, in one piece.

    Plain bytes would be iterated by an async generator of httpcore's, which a post that is cut off while sending
    leaves to the garbage collector.
    """

    def __init__(self, body: bytes) -> None:
        self._pieces = iter((body,))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


class _JudgingBackend(httpcore.AsyncNetworkBackend):
    """Connects to public or allowed addresses only.

    Sits below TLS, which keeps checking certificates against the URL's host.
    """

    def __init__(self, allowed: frozenset[tuple[str, int]]) -> None:
        self._allowed = allowed
        self._sockets = httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolve(host, port)
        if (host, port) not in self._allowed:
            _judge(addresses)
        trouble: Exception | None = None
        for address in addresses[:CONNECT_ADDRESSES_MAX]:
            try:
                return await self._sockets.connect_tcp(
                    str(address), port, CONNECT_SECONDS, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise Failed("no connection to the receiver") from trouble


def _allowed_target(entry: str) -> Target:
    host, colon, port = entry.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit()):
        raise ValueError(f"not host:port: {entry!r}")
    return Target.parse(f"http://{host}:{port}")


def _judge(addresses: Iterable[IPAddress]) -> None:
    """Refuse unless every address is public: one stray among them is a trick or a mistake."""
    for address in addresses:
        reason = refusal(address)
        if reason is not None:  # without the address: that would map our network for the asker
            raise _not_public(reason)


def _judge_unresolved(host: str) -> None:
    """Refuse what is not public whatever names resolve to: addresses, also as `127.1` or `0x7f000001`; localhost."""
    reason = name_refusal(host)
    if reason is not None:
        raise _not_public(reason)
    with suppress(ValueError):
        _judge([ipaddress.ip_address(host)])
    with suppress(OSError):  # not one of the spellings that the resolver takes for an IPv4 address
        _judge([ipaddress.IPv4Address(socket.inet_aton(host))])


def _not_public(reason: str) -> Refused:
    return Refused(f"the host's address is not public: {reason}")


async def _resolve(host: str, port: int) -> list[IPAddress]:
    try:
        # As bytes: a str would pass through Python's IDNA 2003 codec, which raises on long labels.
        found = await trio.socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Failed("the host's name does not resolve") from error
    return list(dict.fromkeys(ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in found))


async def _read_excerpt(response: httpcore.Response) -> bytes:
    """The body's beginning. A flood or a drip loses its connection, a broken one its remainder; the status stands."""
    excerpt = bytearray()
    received_bytes = 0
    with suppress(httpcore.ReadError, httpcore.RemoteProtocolError), trio.move_on_after(BODY_SECONDS) as reading:
        async for chunk in response.aiter_stream():
            received_bytes += len(chunk)
            excerpt += chunk[: EXCERPT_BYTES_MAX - len(excerpt)]
            if received_bytes > BODY_BYTES_MAX:
                # Not `break`: that leaves httpcore's nested generators to the garbage collector.
                reading.cancel()
    return bytes(excerpt)


def _retry_after(response: httpcore.Response) -> timedelta | None:
    """The Retry-After header, as seconds or as a date (RFC 9110 §10.2.3).

    A date is measured against the receiver's own `Date`, so that its clock need
    not agree with ours.
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    text = headers.get(b"retry-after", "")
    if re.fullmatch("[0-9]{1,9}", text):
        return timedelta(seconds=int(text))
    try:
        wait = _http_date(text) - _http_date(headers.get(b"date", ""))
    except ValueError:
        return None
    return max(wait, timedelta(0))


def _http_date(text: str) -> datetime:
    return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT")
