"""The JSON-RPC client against servers that answer well, badly, slowly, and from the wrong chain."""

import gzip
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import trio
from tests.lab.anvil import anvil
from tests.lab.client import call_data
from tests.lab.stub import Reply, Script, Stub, error, reply, result, scripted, stub
from trio.testing import MockClock

from paynode.chains.base import Unavailable
from paynode.chains.identity import Pin
from paynode.chains.jsonrpc import (
    Garbled,
    MethodMissing,
    ProviderFailed,
    RangeTooWide,
    RateLimited,
    RpcError,
    TimedOut,
    TooMuch,
    WrongChain,
)
from paynode.chains.provider import LEAST_REST_SECONDS, REST_SECONDS_MAX, Provider
from paynode.chains.rpc import NoProvider, RpcPool
from paynode.domain.budget import Budget

CHAIN = 31337
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEY = "0123456789abcdefsecret"


@dataclass(frozen=True)
class Url:
    url: str
    name: str = "node.example"

    def reveal(self) -> str:
        return self.url


class Block(msgspec.Struct):
    number: str
    hash: str


@asynccontextmanager
async def talking_to(script: Script, **how: Any) -> AsyncIterator[tuple[Provider, Stub]]:
    async with (
        stub(scripted(CHAIN, script)) as server,
        RpcPool([Url(f"{server.url}/v2/{KEY}?token={KEY}")], chain_id=CHAIN, **how) as pool,
    ):
        yield pool.all[0], server


async def good(body: Any) -> Reply:
    """Each answer is the call's own first parameter."""
    if isinstance(body, list):
        return reply([result(call, call["params"][0]) for call in body])
    return reply(result(body, body["params"][0]))


async def test_a_result_comes_back_as_the_type_asked_for() -> None:
    async with talking_to(good) as (provider, _):
        block = await provider.call("echo", [{"number": "0x1", "hash": "0xaa", "more": [1, 2]}], Block)
        assert block == Block("0x1", "0xaa")
        assert await provider.call("echo", [None], Block | None) is None


async def test_calls_share_one_connection_and_the_chain_id_is_asked_once() -> None:
    async with talking_to(good) as (provider, server):
        for number in range(5):
            assert await provider.call("echo", [number], int) == number
        assert server.connections == 1
        assert server.methods.count("eth_chainId") == 1
        assert provider.meter.usage.calls == 6


async def test_a_provider_of_another_chain_is_refused_before_anything_else_is_asked() -> None:
    async with stub(scripted(1, good)) as server, RpcPool([Url(server.url)], chain_id=CHAIN) as pool:
        with pytest.raises(WrongChain, match="serves chain 1, not 31337"):
            await pool.first.call("echo", [1], int)
        assert server.methods == ["eth_chainId"]
        with pytest.raises(NoProvider) as caught:
            _ = pool.first
        assert caught.value.reason_by_name == {"node.example": "serves chain 1, not 31337"}


async def test_an_answer_over_a_new_connection_counts_only_after_the_chain_id() -> None:
    """Goal: a load balancer that reconnects us to another network is caught.

    Method: the server closes after each answer, and turns to another chain before the second call.
    """
    chain_ids = [CHAIN, CHAIN, 1]

    async def turning(body: Any) -> Reply:
        if body["method"] == "eth_chainId":
            return reply(result(body, hex(chain_ids.pop(0))))
        return reply(result(body, 7), is_last=True)

    async with stub(turning) as server, RpcPool([Url(server.url)], chain_id=CHAIN) as pool:
        provider = pool.first
        assert await provider.call("answer", [], int) == 7
        chain_ids[:] = [1]
        with pytest.raises(WrongChain):
            await provider.call("answer", [], int)


async def test_a_provider_whose_day_is_spent_is_asked_after_the_others_and_still_asked() -> None:
    budget = Budget(calls_per_day=1_000)
    async with stub(scripted(CHAIN, good)) as server:
        urls = [Url(server.url, "one"), Url(server.url, "two")]
        async with RpcPool(urls, chain_id=CHAIN, budget=budget, clock=lambda: NOON) as pool:
            one, two = pool.all
            one.meter.count(999)
            assert pool.first is one
            assert await one.call("echo", [1], int) == 1
            assert pool.first is two
            assert pool.providers()[1] is one
            two.meter.count(1_000)
            assert pool.first is one
            assert await one.call("echo", [2], int) == 2


async def test_batches_are_cut_to_what_a_second_allows() -> None:
    async with talking_to(good, budget=Budget(calls_per_second=1_000)) as (provider, server):
        assert await provider.batch("echo", [(number,) for number in range(60)], int) == list(range(60))
        assert [len(body) for body in server.requests if isinstance(body, list)] == [50, 10]
    async with talking_to(good, budget=Budget(calls_per_second=25)) as (provider, server):
        assert await provider.batch("echo", [(number,) for number in range(30)], int) == list(range(30))
        assert [len(body) for body in server.requests if isinstance(body, list)] == [25, 5]


async def test_the_chain_id_is_asked_again_after_a_failure() -> None:
    replies = [Reply(status=502), Reply(status=502)]

    async def shaky(body: Any) -> Reply:
        return replies.pop() if replies else await good(body)

    async with talking_to(shaky) as (provider, server):
        for _ in range(2):
            with pytest.raises(ProviderFailed):
                await provider.call("echo", [1], int)
        assert await provider.call("echo", [1], int) == 1
        assert server.methods.count("eth_chainId") == 3


async def test_a_batch_comes_back_in_the_order_asked() -> None:
    async def reversing(body: Any) -> Reply:
        return reply([result(call, call["params"][0]) for call in reversed(body)])

    async with talking_to(reversing) as (provider, server):
        assert await provider.batch("echo", [[number] for number in range(120)], int) == list(range(120))
        assert [len(body) for body in server.requests if isinstance(body, list)] == [50, 50, 20]
        assert provider.meter.usage.calls == 121
        assert await provider.batch("echo", [], int) == []


@pytest.mark.parametrize("mangle", [
    lambda answers: answers[:-1],
    lambda answers: [*answers[:-1], answers[0]],
    lambda answers: [*answers, answers[0]],
    lambda answers: [*answers[:-1], answers[-1] | {"id": 10**9}],
    lambda answers: [],
])  # fmt: skip
async def test_a_batch_with_other_answers_than_questions_is_garbled(mangle: Any) -> None:
    async def mangled(body: Any) -> Reply:
        return reply(mangle([result(call, 1) for call in body]))

    async with talking_to(mangled) as (provider, _):
        with pytest.raises(Garbled):
            await provider.batch("echo", [[1], [2], [3]], int)


async def test_a_question_that_is_refused_alone_too_raises_its_error_and_says_nothing_of_batches() -> None:
    async def refusing(body: Any) -> Reply:
        if str(body).find("secret") == -1:
            return await good(body)
        return reply({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "not for you"}})

    async with talking_to(refusing) as (provider, server):
        with pytest.raises(RpcError, match="not for you"):
            await provider.batch("echo", [["secret"]] * 4, str)
        assert await provider.batch("echo", [[1]] * 8, int) == [1] * 8
        assert len(server.requests[-1]) == 8


REFUSALS = [
    reply({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batch too big"}}),
    reply([{"jsonrpc": "2.0", "id": None, "error": {"code": -32005, "message": "batch limit exceeded"}}]),
    reply({"error": {"code": 31, "message": "Batch of more than 3 requests are not allowed on free tier"}}, status=500),
    reply({"jsonrpc": "2.0", "id": 1, "result": "0x1"}),
    Reply(b"<html>no arrays please</html>", status=400),
    Reply(b"", status=413),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal.body[:60]))
@pytest.mark.parametrize("most", [1, 3])
async def test_a_provider_that_takes_no_batch_or_short_ones_is_asked_so_and_refuses_once(
    refusal: Reply, most: int
) -> None:
    refused: list[Any] = []

    async def short_ones(body: Any) -> Reply:
        if isinstance(body, list) and len(body) > most:
            refused.append(body)
            return refusal
        return await good(body)

    async with talking_to(short_ones) as (provider, _):
        assert await provider.batch("echo", [[number] for number in range(70)], int) == list(range(70))
        assert [len(body) for body in refused] == ([50, 25, 12, 6, 3] if most == 1 else [50, 25, 12, 6])
        assert await provider.batch("echo", [[number] for number in range(9)], int) == list(range(9))
        assert len(refused) <= 5
        assert provider.reason == ""


@pytest.mark.parametrize("body", [
    b"",
    b"<html><body>Welcome</body></html>",
    b'{"jsonrpc":"2.0","id":ID,"resu',
    b'{"jsonrpc":"2.0","id":99,"result":"0x1"}',
    b'{"jsonrpc":"2.0","id":"ID","result":"0x1"}',
    b'{"jsonrpc":"2.0","id":null,"result":"0x1"}',
    b'{"jsonrpc":"2.0","result":"0x1"}',
    b'{"jsonrpc":"2.0","id":ID}',
    b'{"jsonrpc":"2.0","id":ID,"result":null}',
    b'{"jsonrpc":"2.0","id":ID,"result":17}',
    b'{"jsonrpc":"2.0","id":ID,"result":"\xff"}',
    b'{"jsonrpc":"2.0","id":ID,"error":{"code":3,"message":"\xff"}}',
    b'{"jsonrpc":"2.0","id":ID,"error":"broken"}',
    b'{"jsonrpc":"2.0","id":99,"error":{"code":3,"message":"not yours"}}',
    b'[{"jsonrpc":"2.0","id":ID,"result":"0x1"}]',
    b'{"id":ID,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
], ids=lambda body: body[:50])  # fmt: skip
async def test_what_is_no_answer_to_the_question_is_garbled(body: bytes) -> None:
    async def answering(call: Any) -> Reply:
        return Reply(body.replace(b"ID", b"%d" % call["id"]))

    async with talking_to(answering) as (provider, _):
        with pytest.raises(Garbled):
            await provider.call("eth_something", [], str)
        assert provider.is_resting


@pytest.mark.parametrize("wrong", [
    Reply(json.dumps({"id": 2, "result": "0x1"}).encode(), sent=5),
    Reply(b"1f8b is not how this begins", headers={"content-encoding": "gzip"}),
    Reply(gzip.compress(b'{"id":2,"result":"0x1"}', mtime=0)[:-9], headers={"content-encoding": "gzip"}),
    Reply(b"x", headers={"content-encoding": "br"}),
    Reply(status=301, headers={"location": "http://127.0.0.1:1/"}),
    Reply(b"<html>", status=403),
    Reply(b"", status=500),
    Reply(b"<html>Bad gateway</html>", status=502),
], ids=repr)  # fmt: skip
async def test_a_broken_exchange_fails_and_lets_the_provider_rest(wrong: Reply) -> None:
    async def answering(_: Any) -> Reply:
        return wrong

    async with talking_to(answering) as (provider, _):
        with pytest.raises(ProviderFailed) as caught:
            await provider.call("eth_something", [], str)
        assert caught.value.is_fault
        assert provider.is_resting
        assert provider.reason == caught.value.reason


async def test_gzip_is_unpacked() -> None:
    async def packing(body: Any) -> Reply:
        packed = gzip.compress(json.dumps(result(body, "0x" + "00" * 50_000)).encode())
        return Reply(packed, headers={"content-encoding": "gzip"})

    async with talking_to(packing) as (provider, _):
        assert len(await provider.call("eth_something", [], str)) == 100_002


@pytest.mark.parametrize("is_packed", [False, True])
async def test_an_answer_over_the_size_limit_is_too_much_and_no_fault(is_packed: bool) -> None:
    async def verbose(body: Any) -> Reply:
        answer = json.dumps(result(body, "0" * 5_000_000)).encode()
        return Reply(gzip.compress(answer), headers={"content-encoding": "gzip"}) if is_packed else Reply(answer)

    async with talking_to(verbose, answer_bytes_max=100_000) as (provider, _):
        with pytest.raises(TooMuch, match="more than 100000 bytes"):
            await provider.call("eth_getLogs", [], str)
        assert not provider.is_resting


@pytest.mark.parametrize("drip_seconds", [None, 0.02])
async def test_silence_and_dripping_end_at_the_deadline(drip_seconds: float | None) -> None:
    async def slow(body: Any) -> Reply:
        if drip_seconds is None:
            await trio.sleep_forever()
        return reply(result(body, "0" * 1000), drip_seconds=drip_seconds)

    async with talking_to(slow, deadline_seconds=0.3) as (provider, _):
        with trio.fail_after(60), pytest.raises(TimedOut):
            await provider.call("eth_something", [], str)
        assert provider.is_resting


async def test_nobody_listening_is_a_failure_of_the_provider() -> None:
    async with stub(good) as server:
        url = server.url
    async with RpcPool([Url(url)], chain_id=CHAIN) as pool:
        with pytest.raises(Unavailable, match=r"node\.example: eth_chainId: ConnectError"):
            await pool.first.call("echo", [1], int)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up at the first refusal."""
    monkeypatch.setattr("paynode.chains.provider.PATIENCE_SECONDS", ())


async def test_a_refusal_of_haste_is_waited_out_and_does_not_speak_against_the_provider() -> None:
    """Once on the way to the proof of its identity, once on the way to the answer."""
    refusals = iter([Reply(b"slow down", status=429), Reply(b"slow down", 429, {"retry-after": "1"})])

    async def hasty(body: Any) -> Reply:
        return next(refusals, None) or reply(result(body, hex(CHAIN) if body["method"] == "eth_chainId" else 7))

    async with stub(hasty) as server, RpcPool([Url(server.url)], chain_id=CHAIN) as pool:
        assert await pool.first.call("echo", [], int) == 7
        assert not pool.first.is_resting
        assert server.methods == ["eth_chainId"] * 3 + ["echo"]


@pytest.mark.parametrize(("headers", "least", "most"), [
    ({"retry-after": "42"}, 41, 42),
    ({"retry-after": "86400"}, 299, 300),
    ({"retry-after": "soon"}, 0, 1),
    ({}, 0, 1),
])  # fmt: skip
async def test_a_rate_limit_is_kept_as_long_as_the_provider_asks_within_reason(
    headers: dict[str, str], least: int, most: int, impatient: None
) -> None:
    async def limiting(_: Any) -> Reply:
        return Reply(b"slow down", status=429, headers=headers)

    async with talking_to(limiting) as (provider, _):
        with pytest.raises(RateLimited):
            await provider.call("eth_something", [], str)
        assert least < provider.rest_seconds <= most


@pytest.mark.parametrize(("method", "code", "message", "kind"), [
    ("eth_getLogs", -32005, "query returned more than 10000 results", TooMuch),
    ("eth_getLogs", -32600, "you can make eth_getLogs requests with up to a 10 block range", RangeTooWide),
    ("eth_getLogs", -32614, "eth_getLogs is limited to a 5 range", RangeTooWide),
    ("eth_getLogs", -32000, "exceed maximum block range: 5000", RangeTooWide),
    ("eth_getLogs", -32005, "limit exceeded", TooMuch),
    ("eth_getLogs", -32000, "query timeout exceeded", TooMuch),
    ("eth_getLogs", -32005, "daily request count exceeded, request rate limited", RateLimited),
    ("eth_getLogs", -32000, "unknown block", RpcError),
    ("eth_call", -32000, "out of gas", TooMuch),
    ("eth_call", -32000, "gas required exceeds allowance (50000000)", TooMuch),
    ("eth_call", 3, "execution reverted", RpcError),
    ("eth_call", -32000, "header not found", RpcError),
    ("eth_call", -32005, "limit exceeded", RateLimited),
    ("eth_call", 429, "Your app has exceeded its compute units per second capacity", RateLimited),
    ("eth_call", -32007, "15/second request limit reached", RateLimited),
    ("trace_block", -32601, "nope", MethodMissing),
    ("trace_block", -32000, "the method trace_block does not exist/is not available", MethodMissing),
])  # fmt: skip
async def test_providers_errors_are_told_apart(
    method: str, code: int, message: str, kind: type, impatient: None
) -> None:
    async def refusing(body: Any) -> Reply:
        return reply(error(body, code, message))

    async with talking_to(refusing) as (provider, _):
        with pytest.raises(ProviderFailed) as caught:
            await provider.call(method, [], str)
        assert type(caught.value) is kind
        assert provider.is_resting is (kind is RateLimited)


@pytest.mark.parametrize(("message", "told"), [
    ("You can make eth_getLogs requests with up to a 10 block range.", 10),
    ("eth_getLogs is limited to a 10,000 range", 10_000),
    ("exceed maximum block range: 5000", 5_000),
    ("You can request up to a 2K block range", 2_000),
    ("eth_getLogs is limited to 0 - 800 blocks range", 800),
    ("block range is too wide", None),
    ("block range of 0 is too wide", None),
])  # fmt: skip
async def test_a_cap_that_is_told_is_understood(message: str, told: int | None) -> None:
    async def capped(body: Any) -> Reply:
        return reply(error(body, -32600, message))

    async with talking_to(capped) as (provider, _):
        with pytest.raises(RangeTooWide) as caught:
            await provider.call("eth_getLogs", [], str)
        assert caught.value.blocks_max == told


async def test_an_error_in_a_failed_exchange_is_read_too() -> None:
    async def refusing(body: Any) -> Reply:
        return reply(error(body, 3, "execution reverted", "0x08c379a0"), status=400)

    async with talking_to(refusing) as (provider, _):
        with pytest.raises(RpcError) as caught:
            await provider.call("eth_call", [], str)
        assert (caught.value.code, caught.value.data) == (3, "0x08c379a0")


async def test_neither_errors_nor_logs_know_the_url(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, logger="httpx")  # as set by the client itself
    wrongs = [
        Reply(f"<html>{KEY}</html>".encode()),
        Reply(json.dumps({"id": 2, "error": {"code": -32000, "message": f"invalid project id {KEY}"}}).encode()),
        Reply(json.dumps({"id": None, "error": {"code": 1, "message": KEY}}).encode(), status=401),
        Reply(b"", status=302, headers={"location": f"/{KEY}"}),
        Reply(b"{}", sent=1),
    ]

    for wrong in wrongs:

        async def answering(_: Any, wrong: Reply = wrong) -> Reply:
            return wrong

        async with talking_to(answering) as (provider, server):
            with pytest.raises(ProviderFailed) as caught:
                await provider.call("eth_something", [], str)
            port = server.url.rsplit(":")[-1]
            told = f"{caught.value!s} {caught.value!r} {caught.value.reason} {provider.reason}"
            assert KEY not in told
            assert port not in told
            assert caught.value.__cause__ is None
    assert KEY not in caplog.text


async def test_failures_in_a_row_double_the_rest_and_success_ends_the_row() -> None:
    replies = [Reply(status=502)] * 4

    async def shaky(body: Any) -> Reply:
        return replies.pop() if replies else await good(body)

    async with talking_to(shaky) as (provider, _):
        for expected in (1, 2, 4, 8):
            with pytest.raises(ProviderFailed):
                await provider.call("echo", [1], int)
            assert expected - 0.5 < provider.rest_seconds <= expected
        assert await provider.call("echo", [1], int) == 1
        assert provider.is_resting  # it may be luck


async def test_the_pool_turns_to_the_next_provider_while_one_rests() -> None:
    async with stub(scripted(CHAIN, good)) as server:
        urls = [Url(server.url, name) for name in ("one", "two")]
        async with RpcPool(urls, chain_id=CHAIN) as pool:
            one, two = pool.all
            assert pool.providers() == (one, two)
            one.degrade("answered from another block")
            assert pool.providers() == (two,)
            two.degrade("stuck", rest_seconds=5)
            assert pool.providers() == ()
            with pytest.raises(NoProvider, match="one: answered from another block; two: stuck"):
                _ = pool.first
            assert 59 < one.rest_seconds <= 60
            assert 4 < two.rest_seconds <= 5


async def test_where_all_rest_one_is_asked_again_after_a_moment_and_its_answer_ends_the_rest(
    autojump_clock: MockClock,
) -> None:
    async with RpcPool([Url("http://127.0.0.1:1/", name) for name in ("one", "two")], chain_id=CHAIN) as pool:
        one, two = pool.all
        for provider in pool.all:
            provider.degrade("answered from another block")
        assert pool.providers() == ()
        await trio.sleep(LEAST_REST_SECONDS)
        assert pool.providers() == (one, two)
        assert one.is_resting
        assert two.is_resting
        await trio.sleep(REST_SECONDS_MAX)
        assert not one.is_resting


async def test_a_provider_that_asked_for_time_is_given_it_even_alone() -> None:
    async def limiting(_: Any) -> Reply:
        return Reply(b"slow down", status=429, headers={"retry-after": "42"})

    async with stub(scripted(CHAIN, limiting)) as server, RpcPool([Url(server.url)], chain_id=CHAIN) as pool:
        with pytest.raises(RateLimited):
            await pool.first.call("echo", [1], int)
        assert pool.all[0].is_barred
        assert 41 < pool.all[0].rest_seconds <= 42


def showing(hash_by_number: dict[int, str | None]) -> Script:
    """Our chain id, these blocks, and an error for every other block."""

    async def answer(body: Any) -> Reply:
        if isinstance(body, dict) and body["method"] == "eth_getBlockByNumber":
            number = int(body["params"][0], 16)
            if number not in hash_by_number:
                return reply(error(body, -32000, "history is pruned"))
            hash_ = hash_by_number[number]
            return reply(result(body, None if hash_ is None else {"number": hex(number), "hash": hash_}))
        return await good(body)

    return scripted(CHAIN, answer)


OURS, THEIRS = "0x" + "0a" * 32, "0x" + "0b" * 32
PINS = (Pin(10, OURS), Pin(900, OURS))


@pytest.mark.parametrize("blocks", [{10: OURS}, {10: OURS, 900: THEIRS}, {900: OURS}, {10: None, 900: OURS}])
async def test_a_provider_that_shows_our_oldest_block_that_it_has_is_believed(blocks: dict[int, str | None]) -> None:
    async with stub(showing(blocks)) as server, RpcPool([Url(server.url)], chain_id=CHAIN) as pool:
        pool.identity.pins = PINS
        for number in range(3):
            assert await pool.first.call("echo", [number], int) == number
        assert server.methods.count("eth_chainId") == 1
        assert server.methods.count("eth_getBlockByNumber") <= 2


@pytest.mark.parametrize(("blocks", "kind", "words"), [
    ({10: THEIRS}, WrongChain, "another network of chain id 31337: its block 10 is 0x0b0b0b0b..., and ours 0x0a"),
    ({10: None, 900: THEIRS}, WrongChain, "its block 900"),
    ({10: None, 900: None}, ProviderFailed, "does not know block 900"),
    ({}, ProviderFailed, "does not know block 900"),
])  # fmt: skip
async def test_b5_a_provider_of_another_network_of_our_chain_id_is_refused_before_anything_is_asked(
    blocks: dict[int, str | None], kind: type, words: str
) -> None:
    async with stub(showing(blocks)) as server, RpcPool([Url(server.url)], chain_id=CHAIN) as pool:
        pool.identity.pins = PINS
        with pytest.raises(ProviderFailed, match=re.escape(words)) as caught:
            await pool.first.call("echo", [1], int)
        assert type(caught.value) is kind
        assert "echo" not in server.methods
        assert words in pool.all[0].reason
        assert pool.all[0].meter.usage.lies == (kind is WrongChain)


async def test_b5_the_pinned_block_is_asked_for_again_over_each_new_connection_and_every_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocks: dict[int, str | None] = {10: OURS}
    async with stub(showing(blocks)) as server, RpcPool([Url(server.url)], chain_id=CHAIN) as pool:
        provider = pool.all[0]
        assert await provider.call("echo", [0], int) == 0  # before there is a pin
        pool.identity.pins = PINS
        assert await provider.call("echo", [1], int) == 1
        assert await provider.call("echo", [2], int) == 2
        assert server.methods.count("eth_getBlockByNumber") == 1
        blocks[10] = THEIRS
        assert await provider.call("echo", [3], int) == 3
        monkeypatch.setattr("paynode.chains.provider.PROOF_SECONDS", 0.0)
        with pytest.raises(WrongChain):
            await provider.call("echo", [4], int)
        assert server.methods.count("echo") == 4


async def test_b5_over_a_new_connection_the_pinned_block_suffices_where_the_chain_id_was_named() -> None:
    """Goal: a node at rest, with a new connection at each look, pays one call for the proof and is not fooled.

    Method: the server closes after each answer, and at last turns to another network.
    """
    blocks: dict[int, str | None] = {10: OURS}
    answer = showing(blocks)

    async def closing(body: Any) -> Reply:
        return replace(await answer(body), is_last=True)

    async with stub(closing) as server, RpcPool([Url(server.url)], chain_id=CHAIN) as pool:
        pool.identity.pins = PINS
        for number in range(4):
            assert await pool.first.call("echo", [number], int) == number
        assert server.methods.count("eth_chainId") == 1
        assert server.methods.count("eth_getBlockByNumber") >= 4
        blocks[10] = THEIRS
        with pytest.raises(WrongChain):
            await pool.first.call("echo", [4], int)
        blocks[10] = OURS
        assert await pool.all[0].call("echo", [5], int) == 5
        assert server.methods.count("eth_chainId") == 2  # it had failed


async def test_a_real_node_is_understood() -> None:
    async with anvil() as lab, RpcPool([Url(lab.url)], chain_id=CHAIN) as pool:
        provider = pool.first
        payer = await lab.deploy("Payer")
        block = await provider.call("eth_getBlockByNumber", ["latest", False], Block)
        assert block.number == "0x2"
        assert await provider.call("eth_getBlockByNumber", ["0x99", False], Block | None) is None
        blocks = await provider.batch("eth_getBlockByNumber", [["0x1", False], ["0x0", False]], Block)
        assert [block.number for block in blocks] == ["0x1", "0x0"]
        with pytest.raises(MethodMissing):
            await provider.call("eth_nonsense", [], str)
        pay_then_revert = call_data(payer.compiled, "payThenRevert", [lab.faucet])
        with pytest.raises(RpcError) as caught:
            await provider.call("eth_call", [{"to": payer.address, "data": pay_then_revert}, "latest"], str)
        assert caught.value.code == 3
        assert str(caught.value.data).startswith("0x08c379a0")  # Error(string), "taken back"
        await lab.rpc("anvil_setChainId", 5)
        provider.degrade("to be verified again", rest_seconds=0)
        with pytest.raises(WrongChain, match="serves chain 5"):
            await provider.call("eth_blockNumber", [], str)
