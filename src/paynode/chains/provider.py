"""One JSON-RPC endpoint over httpx: persistent connections, deadlines, size caps, and rests after failures.

One rule: no answer is passed on before the provider, over the connection it
came by, has shown that it serves our network. Addresses of providers hold API
keys, so errors and logs know a provider by its name only.
"""

import logging
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext
from typing import Any, Protocol, TypeVar, overload
from urllib.parse import unquote, urlsplit

import httpx
import msgspec
import trio

from paynode.chains.identity import Identity, Pin
from paynode.chains.jsonrpc import (
    BatchRefused,
    Blocked,
    Garbled,
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
from paynode.chains.meter import Meter

CALLS_PER_BATCH_MAX = 50  # public endpoints refuse hundreds
IDLE_SECONDS_MAX = 120  # longer than the longest tick; a new connection costs a handshake and a proof of identity
PROOF_SECONDS = 3600.0  # so long a connection is believed: behind one name stand many machines
REST_SECONDS_MIN, REST_SECONDS_MAX = 1.0, 60.0
LEAST_REST_SECONDS = 5.0  # after which one that rests is asked where no other can be: the next machine may be right
RETRY_AFTER_SECONDS_MAX = 300
# "Too many requests" is waited out where that is a matter of moments. Else a provider that refuses every fifth request
# would never let a tick of hundreds end, and after an outage no smaller one finds everything.
PATIENCE_SECONDS = (0.25, 0.5, 1.0, 2.0)
WISH_SECONDS_MAX = 2
BATCH_REFUSALS = frozenset({400, 405, 413, 415, 422, 501})  # HTTP statuses of those who take no arrays, or shorter ones
BLOCKS = frozenset({400, 403, 405, 415})  # of those who do not like what is in a request
SECRET_LENGTH_MIN = 6  # shorter parts of a URL are words like "v3" and "rpc"

# httpx announces every request at INFO, with its full URL.
logging.getLogger("httpx").setLevel(logging.WARNING)

T = TypeVar("T")


class RpcUrl(Protocol):
    """A provider's address: `name` may be shown, what `reveal()` returns may not."""

    @property
    def name(self) -> str: ...

    def reveal(self) -> str: ...


class _BlockId(msgspec.Struct):
    hash: str


@dataclass(frozen=True, slots=True)
class _Proof:
    pin: Pin | None  # the first of those there were then
    at: float


class Provider:
    """One JSON-RPC endpoint. Its calls raise `ProviderFailed`, always one of the kinds drawn in `jsonrpc.py`."""

    def __init__(
        self,
        url: RpcUrl,
        *,
        identity: Identity,
        meter: Meter,
        deadline_seconds: float,
        answer_bytes_max: int,
    ) -> None:
        self.name = url.name
        self.meter = meter
        self.reason = ""  # why it rests or last failed; "" once it works again
        self._url = url.reveal()
        self._secrets = _secrets(self._url)
        self._identity = identity
        self._deadline_seconds = deadline_seconds
        self._answer_bytes_max = answer_bytes_max
        self._next_id = 1
        self._proven: _Proof | None = None
        self._has_named_chain = False  # since it last failed
        self._calls_per_batch = CALLS_PER_BATCH_MAX  # fewer once it has refused so many
        self._failures = 0
        self._resting_until = self._barred_until = -float("inf")
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

    @property
    def is_barred(self) -> bool:
        """Whether it must not be asked, even if there is no other."""
        return self._barred_until > trio.current_time()

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
        while len(results) < len(many_params):
            calls_max = self.meter.batch_max(self._calls_per_batch)
            results += await self._some(method, many_params[len(results) :][:calls_max], type)
        return results

    def degrade(self, reason: str, rest_seconds: float = REST_SECONDS_MAX) -> None:
        """Let it rest for what it said, not for how: a caller found its answers to be wrong."""
        self.reason = reason
        self._rest(rest_seconds)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _take_ids(self, count: int) -> range:
        ids = range(self._next_id, self._next_id + count)
        self._next_id = ids.stop
        return ids

    async def _some(self, method: str, part: Sequence[Sequence[Any]], type_: Any) -> list[Any]:
        """The results of the first of `part`: of as many as the provider takes in one batch."""
        if len(part) == 1:
            return [await self.call(method, part[0], type_)]
        ids = self._take_ids(len(part))
        body = encode_many(ids.start, method, part)
        try:
            results: list[Any] = await self._ask(
                method, body, len(part), lambda answer: decode_many(self.name, answer, ids, method, type_)
            )
        except BatchRefused:
            fewer = len(part) // 2
            results = await self._some(method, part[:fewer], type_)
            self._calls_per_batch = min(self._calls_per_batch, fewer)  # only now: perhaps the question was refused
        return results

    async def _ask(self, method: str, body: bytes, count: int, decode: Any) -> Any:
        """The decoded answer. Refusals of haste speak against the provider only where patience does not help."""
        try:
            for patience_seconds in PATIENCE_SECONDS:
                try:
                    return await self._ask_once(method, body, count, decode)
                except RateLimited as refusal:
                    wished = refusal.retry_after_seconds
                    if wished is not None and wished > WISH_SECONDS_MAX:
                        raise
                    await trio.sleep(max(patience_seconds, wished or 0))
            return await self._ask_once(method, body, count, decode)
        except ProviderFailed as failure:
            if failure.is_fault:
                self._failed(failure)
            raise

    async def _ask_once(self, method: str, body: bytes, count: int, decode: Any) -> Any:
        await self.meter.admit(count)
        with trio.move_on_after(self._deadline_seconds):
            if not self._is_proven:
                await self._prove()
            answer = await self._post(method, body, count)
            if not self._is_proven:  # the connection was a new one: who answered?
                await self._prove()
            result = decode(answer)
            self._worked()
            return result
        raise TimedOut(self.name, f"{method}: no answer within {self._deadline_seconds} s")

    @property
    def _is_proven(self) -> bool:
        """Whether it has shown lately, and over this connection, that it serves our network."""
        proof = self._proven
        if proof is None or trio.current_time() - proof.at >= PROOF_SECONDS:
            return False
        return proof.pin == self._identity.first_pin

    async def _prove(self) -> None:
        """Have it name the hash of a block that only our network has, and our chain id.

        The id once, until it fails: a new connection at each look is usual, since servers close idle ones within a
        minute. Where a chain split off above that block, looks tell by their context, and what we sign names its chain.
        """
        pins, pin_now, chain_id = self._identity.pins, self._identity.first_pin, self._identity.chain_id
        if not (pins and self._has_named_chain):
            await self._name_chain(chain_id)
        for pin in pins:
            try:
                block = await self._one("eth_getBlockByNumber", (hex(pin.number), False), _BlockId | None)
            except RpcError:
                continue  # some keep no old blocks, and say so in an error
            if block is None:
                continue
            if block.hash.lower() != pin.hash:
                told = f"its block {pin.number} is {block.hash[:10]}..., and ours {pin.hash[:10]}..."
                raise WrongChain(self.name, f"serves another network of chain id {chain_id}: {told}")
            break
        else:
            if pins:
                raise ProviderFailed(self.name, f"does not know block {pins[-1].number}, which we have seen")
        self._proven = _Proof(pin_now, trio.current_time())

    async def _name_chain(self, chain_id: int) -> None:
        text = await self._one("eth_chainId", (), str)
        if not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", text):
            raise Garbled(self.name, "eth_chainId: not a number")
        if int(text, 16) != chain_id:
            raise WrongChain(self.name, f"serves chain {int(text, 16)}, not {chain_id}")
        self._has_named_chain = True

    async def _one(self, method: str, params: Sequence[Any], type_: Any) -> Any:
        """An answer that need not be proven to come from our network."""
        self.meter.reserve(1)
        id_ = self._take_ids(1).start
        return decode_one(self.name, await self._post(method, encode_one(id_, method, params), 1), id_, method, type_)

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
        raise _http_failure(self.name, method, response, decode_error(self.name, answer, method), is_batch=count > 1)

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
            self._proven = None

    def _failed(self, failure: ProviderFailed) -> None:
        self._failures += 1
        self.reason = failure.reason
        self.meter.failed()
        match failure:
            case WrongChain():
                self.meter.lied()
                self._rest(REST_SECONDS_MAX)
            case RateLimited(retry_after_seconds=int(seconds)):
                wished = float(min(max(seconds, 1), RETRY_AFTER_SECONDS_MAX))
                self._rest(wished, at_least=wished)
            case _:
                self._rest(min(REST_SECONDS_MIN * 2 ** min(self._failures - 1, 10), REST_SECONDS_MAX))

    def _rest(self, seconds: float, at_least: float = LEAST_REST_SECONDS) -> None:
        now = trio.current_time()
        self._proven, self._has_named_chain = None, False
        self._resting_until = max(self._resting_until, now + seconds)
        self._barred_until = max(self._barred_until, now + min(seconds, at_least))

    def _worked(self) -> None:
        if not self.is_barred:  # else a call begun before the failure would end the rest
            self._failures = 0
            self.reason = ""
            self._resting_until = -float("inf")


def _http_failure(
    provider: str, method: str, response: httpx.Response, failure: ProviderFailed | None, *, is_batch: bool
) -> ProviderFailed:
    status, after = response.status_code, response.headers.get("retry-after", "")
    seconds = int(after) if re.fullmatch(r"[0-9]{1,9}", after) else None
    if status == 429 or seconds is not None:
        return RateLimited(provider, f"{method}: HTTP {status}", seconds)
    if is_batch and (status in BATCH_REFUSALS or isinstance(failure, RpcError)):
        return BatchRefused(provider, f"{method}: HTTP {status}")
    if failure is not None and status <= 500:  # above it the gateway speaks, not the node
        return failure
    if status == 413:
        return TooMuch(provider, f"{method}: HTTP {status}")
    return (Blocked if status in BLOCKS else ProviderFailed)(provider, f"{method}: HTTP {status}")


def _secrets(url: str) -> tuple[bytes, ...]:
    """The parts of `url` that may be a key: of its path, its query, its user and password."""
    parts = urlsplit(url)
    words = [*re.split(r"[/&=]", f"{parts.path}&{parts.query}"), parts.username or "", parts.password or ""]
    long = {text for word in words for text in (word, unquote(word)) if len(text) >= SECRET_LENGTH_MIN}
    return tuple(text.encode() for text in sorted(long, key=len, reverse=True))


@cache
def _tls() -> SSLContext:
    return httpx.create_ssl_context(trust_env=False)  # 39 ms: once, not once per provider
