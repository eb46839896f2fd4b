"""A chain of any block time, and a provider that answers for it in process, without a socket.

The one rule: calls are counted as providers bill them, each call of a batch. Blocks exist as soon as simulated time
has come to them; what they hold is only what was `paid`.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpx
import trio

from paynode.chains.evm.ways import LENT_ADDRESS
from paynode.chains.rpc import RpcPool
from paynode.domain.budget import Budget

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
PAYER = "0x" + "cc" * 20
CHAIN_ID = 31337
KEEP_ALIVE_SECONDS = 60.0  # after which a server closes an idle connection, as many do
FIRST_BLOCK = 50_000_000
GENESIS_SECONDS = 1_767_225_600  # when simulated time begins: 2026-01-01

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Payment:
    """One transaction, alone in its block."""

    number: int
    recipient: str  # lower case
    units: int
    token: str | None = None  # lower case; None: native coins

    @property
    def tx_hash(self) -> str:
        return f"0x77{self.number:062x}"


@dataclass
class MemoryChain:
    """The chain as its provider tells of it."""

    block_seconds: float
    range_max: int | None = None  # blocks of a log query
    state_blocks: int | None = None  # so old a state is kept; None: all
    payments: dict[int, Payment] = field(default_factory=dict)  # by block
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def head(self) -> int:
        return FIRST_BLOCK + int(trio.current_time() / self.block_seconds)

    def pay(self, number: int, recipient: str, units: int, token: str | None = None) -> None:
        self.payments[number] = Payment(number, recipient.lower(), units, token)

    def answer(self, call: Json) -> Json:
        method, params = call["method"], call["params"]
        self.calls[method] += 1
        try:
            found: Any = getattr(self, f"_{method}")(*params)
        except Refusal as refusal:
            return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32000, "message": str(refusal)}}
        return {"jsonrpc": "2.0", "id": call["id"], "result": found}

    # The methods, by their names.

    def _eth_chainId(self) -> str:
        return hex(CHAIN_ID)

    def _eth_getBlockByNumber(self, which: str, is_full: bool) -> Json | None:
        number = self.head if which == "latest" else int(which, 16)
        return self._block(number, is_full) if number <= self.head else None

    def _eth_getBlockByHash(self, hash_: str, is_full: bool) -> Json:
        return self._block(_number(hash_), is_full)

    def _eth_getTransactionCount(self, _address: str, _block: Any) -> str:
        return "0x0"

    def _eth_getBalance(self, address: str, which: str) -> str:
        number = self.head if which == "latest" else int(which, 16)
        if self.state_blocks is not None and number <= self.head - self.state_blocks:
            raise Refusal("missing trie node")
        return hex(self._held(number).get((address.lower(), None), 0))

    def _eth_getTransactionByHash(self, hash_: str) -> Json:
        return _tx(self.payments[_number(hash_)])

    def _eth_getTransactionReceipt(self, hash_: str) -> Json:
        payment = self.payments[_number(hash_)]
        return {
            "transactionHash": hash_,
            "blockHash": _hash(payment.number),
            "blockNumber": hex(payment.number),
            "gasUsed": "0x5208",
            "status": "0x1",
            "logs": [_log(payment)] if payment.token else [],
        }

    def _eth_getLogs(self, asked: Json) -> list[Json]:
        low, high = int(asked["fromBlock"], 16), int(asked["toBlock"], 16)
        if self.range_max is not None and high - low >= self.range_max:
            raise Refusal(f"eth_getLogs is limited to a {self.range_max} block range")
        if len(asked["topics"]) < 3:
            return []  # nothing ever leaves
        wanted = set(asked["topics"][2])
        paid = [one for number, one in sorted(self.payments.items()) if low <= number <= high and one.token]
        return [log for one in paid if (log := _log(one))["topics"][2] in wanted]

    def _eth_call(self, call: Json, pin: Any, *_: Any) -> str:
        if call.get("to") != LENT_ADDRESS:
            raise Refusal("execution reverted")
        number = _number(pin["blockHash"])
        addresses, tokens, heights = _arguments(call["data"])
        words = [number, self._seconds(number), CHAIN_ID, int(_hash(number - 1), 16)]
        words += [int(_hash(height), 16) if height < number else 0 for height in heights]
        held = self._held(number)
        nothing = "0" * 64 * (2 + len(tokens))
        parts = [f"{word:064x}" for word in (32, len(words) + len(addresses) * (2 + len(tokens)), *words)]
        holders = {address for address, _ in held}
        for address in addresses:
            if address in holders:
                units = [held.get((address, None), 0), 0, *(held.get((address, token), 0) for token in tokens)]
                parts += [f"{each:064x}" for each in units]
            else:
                parts.append(nothing)
        return "0x" + "".join(parts)

    def _held(self, number: int) -> dict[tuple[str, str | None], int]:
        held: dict[tuple[str, str | None], int] = {}
        for one in self.payments.values():
            if one.number <= number:
                held[one.recipient, one.token] = held.get((one.recipient, one.token), 0) + one.units
        return held

    def _seconds(self, number: int) -> int:
        return GENESIS_SECONDS + int((number - FIRST_BLOCK) * self.block_seconds)

    def _block(self, number: int, is_full: bool) -> Json:
        payment = self.payments.get(number)
        return {
            "number": hex(number),
            "hash": _hash(number),
            "parentHash": _hash(number - 1),
            "timestamp": hex(self._seconds(number)),
            "transactions": [_tx(payment)] if is_full and payment else [],
        }


class Refusal(Exception):
    """An error of the provider, as text."""


@dataclass
class InProcess(httpx.AsyncBaseTransport):
    """Where a socket would be: connections that close when idle, as a server's do."""

    chain: MemoryChain
    used_at: float = -float("inf")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if trio.current_time() - self.used_at > KEEP_ALIVE_SECONDS:
            await request.extensions["trace"]("connection.connect_tcp.complete", {})
        self.used_at = trio.current_time()
        body = json.loads(await request.aread())
        answer: Any = [self.chain.answer(call) for call in body] if isinstance(body, list) else self.chain.answer(body)
        return httpx.Response(200, stream=_Body(json.dumps(answer).encode()))


@dataclass(frozen=True, slots=True)
class _Body(httpx.AsyncByteStream):
    """An answer that is read as it comes, like one from a socket."""

    content: bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


@dataclass(frozen=True, slots=True)
class Url:
    name: str

    def reveal(self) -> str:
        return f"http://{self.name}/"


def pool_of(chains: Sequence[MemoryChain], clock: Callable[[], Any], budget: Budget) -> RpcPool:
    """Providers whose every call goes to one of `chains`."""
    pool = RpcPool([Url(f"provider{at}") for at in range(len(chains))], chain_id=CHAIN_ID, budget=budget, clock=clock)
    for provider, chain in zip(pool.all, chains, strict=True):
        provider._client = httpx.AsyncClient(transport=InProcess(chain))
    return pool


def _hash(number: int) -> str:
    return f"0xb10c{number:060x}"


def _number(hash_: str) -> int:
    return int(hash_[6:], 16) if hash_.startswith("0xb10c") else int(hash_[4:], 16)


def _tx(payment: Payment) -> Json:
    return {
        "hash": payment.tx_hash,
        "from": PAYER,
        "to": payment.token or payment.recipient,
        "value": hex(0 if payment.token else payment.units),
        "nonce": hex(payment.number),
        "blockHash": _hash(payment.number),
    }


def _log(payment: Payment) -> Json:
    return {
        "address": payment.token,
        "topics": [TRANSFER, *("0x" + address[2:].rjust(64, "0") for address in (PAYER, payment.recipient))],
        "data": f"0x{payment.units:064x}",
        "blockNumber": hex(payment.number),
        "blockHash": _hash(payment.number),
        "transactionHash": payment.tx_hash,
        "logIndex": "0x0",
    }


def _arguments(data: str) -> tuple[Sequence[str], Sequence[str], Sequence[int]]:
    """The addresses, tokens and heights that a look asks for."""
    words = data[2 + 8 :]
    arrays = []
    for at in range(3):
        start = int(words[at * 64 : at * 64 + 64], 16) * 2
        length = int(words[start : start + 64], 16)
        arrays.append(words[start + 64 : start + 64 + length * 64])
    addresses, tokens, heights = arrays
    return (
        _addresses(addresses),
        _addresses(tokens),
        [int(heights[at : at + 64], 16) for at in range(0, len(heights), 64)],
    )


@lru_cache(maxsize=64)
def _addresses(words: str) -> Sequence[str]:
    return ["0x" + words[at + 24 : at + 64] for at in range(0, len(words), 64)]
