"""A provider that misbehaves by rules: in front of a real chain, seeded, and with a memory of every call.

The one rule: what it does is drawn per request (the wire) or per call (the answer), from one seeded source, so a run's
seed says how it misbehaved. The truth is read past it, from the chain itself.

    async with chaos(lab, seed=7) as proxy:
        proxy.rules = [Rule(Fault.EMPTY, 0.3, of("eth_getLogs")), Rule(Fault.DELAY, 0.1, value=200)]
        ...
        proxy.calm()
"""

import json
import random
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

import trio
from tests.lab.client import Lab, LabError
from tests.lab.stub import Cut, Reply, error, reply, result, stub

Json = dict[str, Any]
Backend = Callable[[Json], Awaitable[Json]]

HUGE_BYTES = 40 * 2**20
DRIP_SECONDS = 0.05
BOMB_BYTES = 48 * 2**20  # unpacked
HANG_SECONDS = 30.0  # longer than any caller waits
HTML = b"<html><body>We are upgrading. Please come back later.</body></html>"
NEWEST = frozenset({"latest", "pending", "safe", "finalized"})


class Fault(Enum):
    """What may go wrong, with what `Rule.value` means for it."""

    # Of the wire: the whole request.
    DELAY = "delay"  # milliseconds
    DROP = "drop"  # the connection closes
    RESET = "reset"
    HANG = "hang"  # no answer at all
    RATE_LIMIT = "429"  # Retry-After in seconds; 0: none is told
    ERROR = "500"
    HTML = "html"  # with status 200
    TRUNCATE = "truncate"
    GZIP_BOMB = "gzip_bomb"
    SWALLOW_REPLY_AFTER_FORWARD = "swallow_reply_after_forward"  # it happened, and nobody hears of it

    HUGE = "huge"  # more than anybody should take
    DRIP = "drip"  # byte by byte, without an end in sight

    # Of a batch.
    NO_BATCH = "no_batch"  # more calls than `value` at once are refused
    REORDER = "reorder"  # answered backwards, which is allowed
    SWAP = "swap"  # each call gets the result of another

    # Of the answer: one call, in a batch or not.
    WRONG_ID = "wrong_id"
    NULL = "null"
    EMPTY = "empty"
    DUP = "dup"  # of a list every part, of a batch the first answer
    REMOVED = "removed"  # every log says that a reorganisation took it away
    CHAIN_ID = "chain_id"  # the one it claims
    RANGE_CAP = "range_cap"  # blocks
    RESULT_CAP = "result_cap"  # logs
    STALE_HEAD = "stale_head"  # blocks behind
    FREEZE = "freeze"  # the height at which it stands still
    SPLIT_BACKEND = "split_backend"  # `Rule.backend` answers


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault, how likely it is, and of which methods (none: of all)."""

    fault: Fault
    p: float = 1.0
    methods: frozenset[str] = frozenset()
    value: int = 0
    backend: Backend | None = None


def of(*methods: str) -> frozenset[str]:
    return frozenset(methods)


@dataclass(frozen=True, slots=True)
class Entry:
    """One call, what was done to it, and what was answered (None: nothing that can be read)."""

    at: float  # seconds of trio's clock
    method: str
    params: Any
    faults: tuple[Fault, ...]
    answer: Any

    def __str__(self) -> str:
        faults = ",".join(fault.value for fault in self.faults)
        asked, told = json.dumps(self.params)[:120], json.dumps(self.answer)[:120]
        return f"{self.at:.2f} {self.method} {asked} [{faults}] {told}"


@dataclass
class ChaosProxy:
    """The proxy. `rules` may be exchanged at any moment; the first of several that exclude each other wins."""

    lab: Lab
    seed: int
    rules: Sequence[Rule] = ()
    url: str = ""
    history: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._honest = honest(self.lab)

    def calm(self) -> None:
        """From now on it is a good provider."""
        self.rules = ()

    def calls_since(self, moment: float) -> list[Entry]:
        return [entry for entry in self.history if entry.at >= moment]

    def busiest_second(self, since: float, until: float = float("inf")) -> int:
        """The most calls within any one second of that time."""
        times = sorted(entry.at for entry in self.calls_since(since) if entry.at < until)
        first, most = 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - 1:
                first += 1
            most = max(most, last - first + 1)
        return most

    def done(self, fault: Fault) -> int:
        """How many calls it has done this to."""
        return sum(fault in entry.faults for entry in self.history)

    def report(self) -> str:
        faults = Counter(fault.value for entry in self.history for fault in entry.faults)
        methods = Counter(entry.method for entry in self.history)
        return f"seed {self.seed}: {len(self.history)} calls {dict(methods)}, faults {dict(faults)}"

    async def serve(self, body: Any) -> Reply:
        """The script of its server."""
        calls: list[Json] = body if isinstance(body, list) else [body]
        wire = [rule for rule in self._drawn(calls[0]["method"]) if rule.fault in WIRE]
        faults = tuple(rule.fault for rule in wire)
        at = trio.current_time()
        for rule in wire:
            if rule.fault is Fault.DELAY:
                await trio.sleep(rule.value / 1000)
        if (refusal := next((rule for rule in wire if rule.fault in UNHEARD), None)) is not None:
            self.history += [Entry(at, call["method"], call["params"], (refusal.fault,), None) for call in calls]
            return await _unheard(refusal)
        cap = next((rule.value for rule in wire if rule.fault is Fault.NO_BATCH), len(calls))
        if isinstance(body, list) and len(calls) > cap:
            self.history += [Entry(at, call["method"], call["params"], (Fault.NO_BATCH,), None) for call in calls]
            return reply({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batch too large"}})
        entries = [await self._one(call, faults, at) for call in calls]
        self.history += entries
        answers = [entry.answer for entry in entries]
        if isinstance(body, list) and any(Fault.DUP in entry.faults for entry in entries):
            answers.append(answers[0])
        if isinstance(body, list):
            answers = _mixed(answers, faults)
        return _bent(reply(answers if isinstance(body, list) else answers[0]), faults)

    async def _one(self, call: Json, wire: tuple[Fault, ...], at: float) -> Entry:
        rules = [rule for rule in self._drawn(call["method"]) if rule.fault not in WIRE and _concerns(rule, call)]
        backend = next((self._backend(rule) for rule in rules if rule.fault in ELSEWHERE), self._honest)
        answer = await backend(call)
        for rule in rules:
            answer = _twisted(rule, call, answer)
        return Entry(at, call["method"], call["params"], (*wire, *(rule.fault for rule in rules)), answer)

    def _backend(self, rule: Rule) -> Backend:
        match rule.fault:
            case Fault.STALE_HEAD:
                return behind(self.lab, lambda head: max(0, head - rule.value))
            case Fault.FREEZE:
                return behind(self.lab, lambda head: min(head, rule.value))
            case _:
                assert rule.backend is not None, "split_backend names the other backend"
                return rule.backend

    def _drawn(self, method: str) -> list[Rule]:
        rules = [rule for rule in self.rules if not rule.methods or method in rule.methods]
        return [rule for rule in rules if self._random.random() < rule.p]


WIRE = frozenset(Fault) - {
    *(Fault.WRONG_ID, Fault.NULL, Fault.EMPTY, Fault.DUP, Fault.CHAIN_ID, Fault.RANGE_CAP, Fault.RESULT_CAP),
    *(Fault.STALE_HEAD, Fault.FREEZE, Fault.SPLIT_BACKEND, Fault.REMOVED),
}
UNHEARD = frozenset({
    *(Fault.DROP, Fault.RESET, Fault.HANG, Fault.RATE_LIMIT, Fault.ERROR, Fault.HTML, Fault.GZIP_BOMB),
    *(Fault.HUGE, Fault.DRIP),
})  # fmt: skip
ELSEWHERE = frozenset({Fault.STALE_HEAD, Fault.FREEZE, Fault.SPLIT_BACKEND})


@asynccontextmanager
async def chaos(lab: Lab, *, seed: int) -> AsyncIterator[ChaosProxy]:
    """A proxy on a free loopback port. It begins calm, and says at its end what it has done."""
    proxy = ChaosProxy(lab, seed)
    async with stub(proxy.serve) as server:
        proxy.url = server.url
        try:
            yield proxy
        finally:
            print(proxy.report())


async def _unheard(rule: Rule) -> Reply:
    """The answer to a request that never reaches the chain."""
    match rule.fault:
        case Fault.DROP:
            return Reply(cut=Cut.CLOSED)
        case Fault.RESET:
            return Reply(cut=Cut.RESET)
        case Fault.HANG:
            await trio.sleep(HANG_SECONDS)
            return Reply(cut=Cut.CLOSED)
        case Fault.RATE_LIMIT:
            return Reply(b"slow down", 429, {"retry-after": str(rule.value)} if rule.value else {})
        case Fault.ERROR:
            return Reply(b"Internal Server Error", 500)
        case Fault.HTML:
            return Reply(HTML, headers={"content-type": "text/html"})
        case Fault.HUGE:
            return Reply(bytes(HUGE_BYTES))
        case Fault.DRIP:
            return Reply(b" " * 10_000, drip_seconds=DRIP_SECONDS)
        case _:
            return Reply(_bomb(), headers={"content-encoding": "gzip"})


def _bent(answer: Reply, faults: tuple[Fault, ...]) -> Reply:
    """What becomes of the answer to a request that did reach the chain."""
    if Fault.SWALLOW_REPLY_AFTER_FORWARD in faults:
        return Reply(cut=Cut.CLOSED)
    if Fault.TRUNCATE in faults:
        return Reply(answer.body, sent=len(answer.body) // 2)
    return answer


def _mixed(answers: list[Json], faults: tuple[Fault, ...]) -> list[Json]:
    """A batch's answers in another order, or with each other's results."""
    if Fault.SWAP in faults:
        bodies = [{**other, "id": one["id"]} for one, other in zip(answers, [*answers[1:], answers[0]], strict=True)]
        answers = bodies
    return answers[::-1] if Fault.REORDER in faults else answers


def _concerns(rule: Rule, call: Json) -> bool:
    match rule.fault:
        case Fault.CHAIN_ID:
            return bool(call["method"] == "eth_chainId")
        case Fault.RANGE_CAP | Fault.RESULT_CAP | Fault.REMOVED:
            return bool(call["method"] == "eth_getLogs")
        case _:
            return True


def _twisted(rule: Rule, call: Json, answer: Json) -> Json:
    found = answer.get("result")
    match rule.fault:
        case Fault.WRONG_ID:
            return {**answer, "id": call["id"] + 1_000_000}
        case Fault.NULL:
            return result(call, None)
        case Fault.EMPTY:
            return result(call, [] if isinstance(found, list) else "0x" if isinstance(found, str) else None)
        case Fault.DUP if isinstance(found, list):
            return result(call, [part for part in found for _ in range(2)])
        case Fault.CHAIN_ID:
            return result(call, hex(rule.value))
        case Fault.REMOVED if isinstance(found, list):
            return result(call, [log | {"removed": True} for log in found])
        case Fault.RANGE_CAP if _width(call) > rule.value:
            return error(call, -32602, f"eth_getLogs is limited to a {rule.value} block range")
        case Fault.RESULT_CAP if isinstance(found, list) and len(found) > rule.value:
            return error(call, -32005, f"query returned more than {rule.value} results")
        case _:
            return answer


def _width(call: Json) -> int:
    (asked,) = call["params"]
    return int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) + 1


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(BOMB_BYTES // 2**20)), packer.flush()])


def honest(lab: Lab) -> Backend:
    """The chain as it is."""

    async def ask(call: Json) -> Json:
        try:
            return result(call, await lab.rpc(call["method"], *call["params"]))
        except LabError as refused:
            return error(call, *refused.args)

    return ask


def behind(lab: Lab, height_of: Callable[[int], int]) -> Backend:
    """The chain as a machine sees it that has not heard of the newest blocks: consistent, and late."""
    truth = honest(lab)

    async def ask(call: Json) -> Json:
        height = height_of(int(await lab.rpc("eth_blockNumber"), 16))
        method = call["method"]
        if method == "eth_blockNumber":
            return result(call, hex(height))
        if method == "eth_sendRawTransaction":
            return await truth(call)
        params = [_seen_from(height, param) for param in call["params"]]
        for param in params:
            if await _is_above(lab, height, param):
                is_block = method in ("eth_getBlockByNumber", "eth_getBlockByHash")
                return result(call, None) if is_block else error(call, -32000, "header not found")
        answer = await truth({**call, "params": params})
        return result(call, _known_at(height, answer["result"])) if "result" in answer else answer

    return ask


def _seen_from(height: int, param: Any) -> Any:
    return hex(height) if isinstance(param, str) and param in NEWEST else param


async def _is_above(lab: Lab, height: int, param: Any) -> bool:
    """Whether a parameter names a block above `height`."""
    name = param.get("blockHash", "") if isinstance(param, dict) else param if isinstance(param, str) else ""
    if len(name) == 66:
        block = await lab.rpc("eth_getBlockByHash", name, False)
        return block is not None and int(block["number"], 16) > height
    return name.startswith("0x") and len(name) < 20 and int(name, 16) > height


def _known_at(height: int, found: Any) -> Any:
    """An answer without what is in blocks above `height`."""
    if isinstance(found, list):
        return [part for part in found if _known_at(height, part) is not None]
    is_later = isinstance(found, dict) and found.get("blockNumber") and int(found["blockNumber"], 16) > height
    return None if is_later else found
