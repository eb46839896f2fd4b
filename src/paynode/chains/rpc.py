"""JSON-RPC over httpx: persistent connections, deadlines, size caps, failover.

One rule: no answer is passed on before the provider, over the connection it
came by, has named the right chain. Addresses of providers hold API keys, so
errors and logs know a provider by its name only.
"""

import logging
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from ssl import SSLContext
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, overload
from urllib.parse import unquote, urlsplit

import httpx
import trio

from paynode.chains.base import Unavailable
from paynode.chains.jsonrpc import (
    Garbled,
    MethodMissing,
    ProviderFailed,
    RateLimited,
    RpcError,
    TimedOut,
    TooMuch,
    WrongChain,
    decode_error,
    decode_many,
    decode_one,
    encode_many,
    encode_one,
)
from paynode.chains.meter import Meter, utc_now
from paynode.domain.budget import Budget

__all__ = [
    "Garbled",
    "MethodMissing",
    "NoProvider",
    "Provider",
    "ProviderFailed",
    "RateLimited",
    "RpcError",
    "RpcPool",
    "RpcUrl",
    "TimedOut",
    "TooMuch",
    "WrongChain",
]

ANSWER_BYTES_MAX = 32 * 2**20
CALLS_PER_BATCH_MAX = 50  # public endpoints refuse hundreds
IDLE_SECONDS_MAX = 120  # longer than the longest tick; a new connection costs a handshake and a chain id
REST_SECONDS_MIN, REST_SECONDS_MAX = 1.0, 60.0
WRONG_CHAIN_REST_SECONDS = 600.0
RETRY_AFTER_SECONDS_MAX = 300
UNLIMITED = Budget()
SECRET_LENGTH_MIN = 6  # shorter parts of a URL are words like "v3" and "rpc"

# httpx announces every request at INFO, with its full URL.
logging.getLogger("httpx").setLevel(logging.WARNING)

T = TypeVar("T")


class RpcUrl(Protocol):
    """A provider's address: `name` may be shown, what `reveal()` returns may not."""

    @property
    def name(self) -> str: ...

    def reveal(self) -> str: ...


class NoProvider(Unavailable):
    """Every provider rests; `reason_by_name` says why."""

    def __init__(self, reason_by_name: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in reason_by_name.items()))
        self.reason_by_name = reason_by_name


class Provider:
    """One JSON-RPC endpoint. Its calls raise `ProviderFailed`, always one of the kinds drawn in `jsonrpc.py`."""

    def __init__(
        self,
        url: RpcUrl,
        *,
        chain_id: int,
        deadline_seconds: float,
        answer_bytes_max: int,
        budget: Budget,
        clock: Callable[[], datetime],
    ) -> None:
        self.name = url.name
        self.meter = Meter(budget, clock)
        self.reason = ""  # why it rests or last failed; "" once it works again
        self._url = url.reveal()
        self._secrets = _secrets(self._url)
        self._chain_id = chain_id
        self._deadline_seconds = deadline_seconds
        self._answer_bytes_max = answer_bytes_max
        self._next_id = 1
        self._is_verified = False
        self._failures = 0
        self._resting_until = -float("inf")
        self._client = httpx.AsyncClient(
            verify=_tls(),
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113  # the deadline of the whole call stands above
            limits=httpx.Limits(max_connections=8, keepalive_expiry=IDLE_SECONDS_MAX),
            headers={"content-type": "application/json", "accept-encoding": "gzip"},
        )

    @property
    def rest_seconds(self) -> float:
        """How long it still rests after a failure; 0 when it may be asked."""
        return max(self._resting_until - trio.current_time(), 0.0)

    @property
    def is_resting(self) -> bool:
        return self.rest_seconds > 0

    @overload
    async def call(self, method: str, params: Sequence[Any], type: type[T]) -> T: ...
    @overload
    async def call(self, method: str, params: Sequence[Any], type: Any) -> Any: ...
    async def call(self, method: str, params: Sequence[Any], type: Any) -> Any:
        """The result as `type`, anything msgspec decodes; `Block | None` where null is an answer."""
        id_ = self._take_ids(1).start
        body = encode_one(id_, method, params)
        return await self._ask(method, body, 1, lambda answer: decode_one(self.name, answer, id_, method, type))

    @overload
    async def batch(self, method: str, many_params: Sequence[Sequence[Any]], type: type[T]) -> list[T]: ...
    @overload
    async def batch(self, method: str, many_params: Sequence[Sequence[Any]], type: Any) -> list[Any]: ...
    async def batch(self, method: str, many_params: Sequence[Sequence[Any]], type: Any) -> list[Any]:
        """The results of many calls of one method, in the order asked; all of them, or the first error is raised."""
        results: list[Any] = []
        calls_max = self.meter.batch_max(CALLS_PER_BATCH_MAX)
        for start in range(0, len(many_params), calls_max):
            part = many_params[start : start + calls_max]
            ids = self._take_ids(len(part))
            body = encode_many(ids.start, method, part)
            results += await self._ask(
                method, body, len(part), lambda answer, ids=ids: decode_many(self.name, answer, ids, method, type)
            )
        return results

    def degrade(self, reason: str, rest_seconds: float = REST_SECONDS_MAX) -> None:
        """Let it rest for what it said, not for how: a caller found its answers to be wrong."""
        self.reason = reason
        self._is_verified = False
        self._resting_until = max(self._resting_until, trio.current_time() + rest_seconds)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _take_ids(self, count: int) -> range:
        ids = range(self._next_id, self._next_id + count)
        self._next_id = ids.stop
        return ids

    async def _ask(self, method: str, body: bytes, count: int, decode: Any) -> Any:
        await self.meter.admit(count)
        try:
            with trio.move_on_after(self._deadline_seconds):
                if not self._is_verified:
                    await self._verify()
                answer = await self._post(method, body, count)
                if not self._is_verified:  # the connection was a new one: who answered?
                    await self._verify()
                result = decode(answer)
                self._worked()
                return result
            raise TimedOut(self.name, f"{method}: no answer within {self._deadline_seconds} s")
        except ProviderFailed as failure:
            if failure.is_fault:
                self._failed(failure)
            raise

    async def _verify(self) -> None:
        self.meter.reserve(1)
        id_ = self._take_ids(1).start
        answer = await self._post("eth_chainId", encode_one(id_, "eth_chainId", ()), 1)
        text: str = decode_one(self.name, answer, id_, "eth_chainId", str)
        if not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", text):
            raise Garbled(self.name, "eth_chainId: not a number")
        if (chain_id := int(text, 16)) != self._chain_id:
            raise WrongChain(self.name, f"serves chain {chain_id}, not {self._chain_id}")
        self._is_verified = True

    async def _post(self, method: str, body: bytes, count: int) -> bytes:
        """The bytes of one answer with HTTP status 200."""
        self.meter.count(count)
        try:
            async with self._client.stream(
                "POST", self._url, content=body, extensions={"trace": self._notice}
            ) as response:
                answer = await self._read(method, response)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The original is cut off: it carries the request, and that carries the URL.
            raise ProviderFailed(self.name, f"{method}: {type(error).__name__}") from None
        if b'"error"' in answer:
            for secret in self._secrets:  # some providers quote the key they refuse
                answer = answer.replace(secret, b"***")
        if response.status_code == 200:
            return answer
        raise _http_failure(self.name, method, response, decode_error(self.name, answer, method))

    async def _read(self, method: str, response: httpx.Response) -> bytes:
        """The whole body, unpacked by ourselves so that a small bomb cannot become a large one."""
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise Garbled(self.name, f"{method}: an encoding we did not ask for")
        unpacker = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
        answer = bytearray()
        failure: ProviderFailed | None = None
        with trio.CancelScope() as scope:
            async for chunk in response.aiter_raw():
                if failure is None:
                    room = self._answer_bytes_max + 1 - len(answer)
                    try:
                        answer += chunk if unpacker is None else unpacker.decompress(chunk, room)
                    except zlib.error:
                        failure = Garbled(self.name, f"{method}: broken gzip")
                    if len(answer) > self._answer_bytes_max:
                        failure = TooMuch(self.name, f"{method}: an answer of more than {self._answer_bytes_max} bytes")
                if failure is not None:
                    scope.cancel()  # not a break: that would strand httpx's nested generators half run
        if failure is not None:
            raise failure
        if unpacker is not None and not unpacker.eof:
            raise Garbled(self.name, f"{method}: cut off")
        return bytes(answer)

    async def _notice(self, event: str, info: Mapping[str, Any]) -> None:
        if event.startswith("connection.connect_"):
            self._is_verified = False

    def _failed(self, failure: ProviderFailed) -> None:
        self._failures += 1
        self._is_verified = False
        self.reason = failure.reason
        match failure:
            case WrongChain():
                rest_seconds = WRONG_CHAIN_REST_SECONDS
            case RateLimited(retry_after_seconds=int(seconds)):
                rest_seconds = float(min(max(seconds, 1), RETRY_AFTER_SECONDS_MAX))
            case _:
                rest_seconds = min(REST_SECONDS_MIN * 2 ** min(self._failures - 1, 10), REST_SECONDS_MAX)
        self._resting_until = max(self._resting_until, trio.current_time() + rest_seconds)

    def _worked(self) -> None:
        if not self.is_resting:  # else a call begun before the failure would end the rest
            self._failures = 0
            self.reason = ""


class RpcPool:
    """The providers of one network, in the order of the config; close it when done."""

    def __init__(
        self,
        urls: Sequence[RpcUrl],
        *,
        chain_id: int,
        deadline_seconds: float = 10.0,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        budget: Budget = UNLIMITED,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`budget` is what each provider may be asked; `clock` tells what day it is."""
        self.all = tuple(
            Provider(
                url,
                chain_id=chain_id,
                deadline_seconds=deadline_seconds,
                answer_bytes_max=answer_bytes_max,
                budget=budget,
                clock=clock,
            )
            for url in urls
        )

    def providers(self) -> tuple[Provider, ...]:
        """Those that do not rest, in order, but those with calls left today first; who fails at one asks the next."""
        awake = (provider for provider in self.all if not provider.is_resting)
        return tuple(sorted(awake, key=lambda provider: provider.meter.is_spent))

    @property
    def first(self) -> Provider:
        """The first that does not rest.

        Raises:
            NoProvider: all rest.
        """
        if healthy := self.providers():
            return healthy[0]
        raise NoProvider({provider.name: provider.reason for provider in self.all})

    @property
    def second(self) -> Provider | None:
        """Another than `first`, for the second opinion; None if there is none at present."""
        return healthy[1] if len(healthy := self.providers()) > 1 else None

    async def aclose(self) -> None:
        for provider in self.all:
            await provider.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _http_failure(
    provider: str, method: str, response: httpx.Response, failure: ProviderFailed | None
) -> ProviderFailed:
    status, after = response.status_code, response.headers.get("retry-after", "")
    seconds = int(after) if re.fullmatch(r"[0-9]{1,9}", after) else None
    if status == 429 or seconds is not None:
        return RateLimited(provider, f"{method}: HTTP {status}", seconds)
    if failure is not None and status <= 500:  # above it the gateway speaks, not the node
        return failure
    if status == 413:
        return TooMuch(provider, f"{method}: HTTP {status}")
    return ProviderFailed(provider, f"{method}: HTTP {status}")


def _secrets(url: str) -> tuple[bytes, ...]:
    """The parts of `url` that may be a key: of its path, its query, its user and password."""
    parts = urlsplit(url)
    words = [*re.split(r"[/&=]", f"{parts.path}&{parts.query}"), parts.username or "", parts.password or ""]
    long = {text for word in words for text in (word, unquote(word)) if len(text) >= SECRET_LENGTH_MIN}
    return tuple(text.encode() for text in sorted(long, key=len, reverse=True))


@cache
def _tls() -> SSLContext:
    return httpx.create_ssl_context(trust_env=False)  # 39 ms: once, not once per provider
