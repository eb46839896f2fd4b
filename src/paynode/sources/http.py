"""The HTTP client of the sources: one per source, with a deadline and a size for every answer. And their one error.

No redirect is followed, no proxy variable is read, nothing is unpacked: what is small on the wire stays small.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ssl import SSLContext
from typing import TypeVar

import httpx
import msgspec
import trio

DEADLINE_SECONDS = 8.0  # of one answer
BODY_BYTES_MAX = 2**20
NO_HEADERS: Mapping[str, str] = {}
IDLE_SECONDS_MAX = 90  # longer than a round, so that a connection serves the next one

# httpx announces every request at INFO, with its full URL, which may hold a key.
logging.getLogger("httpx").setLevel(logging.WARNING)

T = TypeVar("T")


class SourceFailed(Exception):
    """The source gave no usable answer; trying later may help. The message is for people and holds no secret."""

    def __init__(self, reason: str, retry_after_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds  # how long it asks us to stay away


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source said."""

    status: int
    body: bytes
    age: timedelta  # how long a cache on the way kept it (RFC 9111 §5.1)
    retry_after_seconds: int | None

    def decoded(self, shape: type[T]) -> T:
        """The body as `shape`.

        Raises:
            SourceFailed: it is a refusal, or not that shape.
        """
        if self.status != 200:
            raise self.refusal()
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SourceFailed("an answer in no format it documents") from None

    def refusal(self) -> SourceFailed:
        return SourceFailed(f"HTTP {self.status}", self.retry_after_seconds)


class HttpClient:
    """Gets what is at URLs, of one source."""

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        deadline_seconds: float = DEADLINE_SECONDS,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._body_bytes_max = body_bytes_max
        self._client = httpx.AsyncClient(
            base_url=base_url,
            verify=_tls(),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113  # the deadline of the whole answer stands above
            limits=httpx.Limits(max_connections=2, keepalive_expiry=IDLE_SECONDS_MAX),
            headers={
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "paynode",
                **headers,
            },
        )

    async def get(self, url: str, query: Mapping[str, str] | None = None) -> Answer:
        """The whole answer, whatever its status; `url` may be a path below the base.

        Raises:
            SourceFailed: there was none within the deadline, or it was too long.
        """
        try:
            with trio.fail_after(self._deadline_seconds):
                async with self._client.stream("GET", url, params=query) as response:
                    body = await self._read(response)
        except trio.TooSlowError:
            raise SourceFailed(f"no answer within {self._deadline_seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The original is cut off: it carries the request, and that carries the URL.
            raise SourceFailed(type(error).__name__) from None
        return Answer(
            response.status_code,
            body,
            timedelta(seconds=_header_seconds(response, "age") or 0),
            _header_seconds(response, "retry-after"),
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _read(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise SourceFailed("an encoding we did not ask for")
        body = bytearray()
        is_too_long = False
        with trio.CancelScope() as scope:
            async for chunk in response.aiter_raw():
                if len(body) + len(chunk) > self._body_bytes_max:
                    is_too_long = True
                    scope.cancel()  # not a break: that would strand httpx's nested generators half run
                else:
                    body += chunk
        if is_too_long:
            raise SourceFailed(f"an answer of more than {self._body_bytes_max} bytes")
        return bytes(body)


def _header_seconds(response: httpx.Response, name: str) -> int | None:
    text = response.headers.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


@cache
def _tls() -> SSLContext:
    return httpx.create_ssl_context(trust_env=False)
