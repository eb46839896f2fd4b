"""The chaos proxy itself: every fault is what it says, seen from a client's side."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from tests.faults.chaosproxy import ChaosProxy, Fault, Rule, behind, chaos, honest, of
from tests.lab.anvil import anvil
from tests.lab.client import Lab


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Lab, ChaosProxy, httpx.AsyncClient]]:
    async with anvil() as lab, chaos(lab, seed=1) as proxy, httpx.AsyncClient(trust_env=False, timeout=60) as client:
        await lab.mine(10)
        yield lab, proxy, client


def question(method: str, *params: Any, id_: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": list(params)}


async def test_a_calm_proxy_is_the_chain_and_remembers_what_it_was_asked() -> None:
    async with proxied() as (lab, proxy, client):
        answer = await client.post(proxy.url, json=question("eth_blockNumber"))
        assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": await lab.rpc("eth_blockNumber")}
        batch = [question("eth_getBlockByNumber", hex(n), False, id_=n) for n in range(3)]
        answers = (await client.post(proxy.url, json=batch)).json()
        assert [answer["id"] for answer in answers] == [0, 1, 2]
        assert [entry.method for entry in proxy.history] == ["eth_blockNumber"] + ["eth_getBlockByNumber"] * 3
        assert proxy.busiest_second(0) == 4


async def test_faults_of_the_wire_are_what_they_say() -> None:
    async with proxied() as (lab, proxy, client):
        ask = question("eth_blockNumber")
        for fault, kind in (
            (Fault.DROP, httpx.RemoteProtocolError),
            (Fault.RESET, httpx.ReadError),
            (Fault.TRUNCATE, httpx.RemoteProtocolError),
            (Fault.SWALLOW_REPLY_AFTER_FORWARD, httpx.RemoteProtocolError),
        ):
            proxy.rules = [Rule(fault)]
            with pytest.raises(kind):
                await client.post(proxy.url, json=ask)
        proxy.rules = [Rule(Fault.HANG)]
        with pytest.raises(httpx.ReadTimeout):
            await client.post(proxy.url, json=ask, timeout=0.2)
        proxy.rules = [Rule(Fault.RATE_LIMIT, value=7)]
        told = await client.post(proxy.url, json=ask)
        assert (told.status_code, told.headers["retry-after"]) == (429, "7")
        proxy.rules = [Rule(Fault.RATE_LIMIT)]
        assert "retry-after" not in (await client.post(proxy.url, json=ask)).headers
        proxy.rules = [Rule(Fault.ERROR)]
        assert (await client.post(proxy.url, json=ask)).status_code == 500
        proxy.rules = [Rule(Fault.HTML)]
        assert (await client.post(proxy.url, json=ask)).text.startswith("<html>")
        proxy.rules = [Rule(Fault.GZIP_BOMB)]
        async with client.stream("POST", proxy.url, json=ask) as bomb:
            assert int(bomb.headers["content-length"]) < 100_000
        proxy.rules = [Rule(Fault.DELAY, value=50)]
        before = trio.current_time()
        assert (await client.post(proxy.url, json=ask)).json()["result"] == await lab.rpc("eth_blockNumber")
        assert trio.current_time() - before >= 0.05
        assert [proxy.done(fault) for fault in (Fault.DROP, Fault.HANG, Fault.RATE_LIMIT)] == [1, 1, 2]


async def test_a_swallowed_reply_has_had_its_effect() -> None:
    async with proxied() as (lab, proxy, client):
        tx = {"from": lab.faucet, "to": lab.accounts[9], "value": "0x7"}
        before = int(await lab.rpc("eth_getBalance", lab.accounts[9], "latest"), 16)
        proxy.rules = [Rule(Fault.SWALLOW_REPLY_AFTER_FORWARD, methods=of("eth_sendTransaction"))]
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(proxy.url, json=question("eth_sendTransaction", tx))
        await lab.mine()
        assert int(await lab.rpc("eth_getBalance", lab.accounts[9], "latest"), 16) == before + 7


async def test_faults_of_the_answer_are_what_they_say() -> None:
    async with proxied() as (lab, proxy, client):
        usdt = await lab.deploy("Standard", 6)
        for number in range(3):
            await lab.transfer(usdt, lab.accounts[number + 1], 5)
        head = int(await lab.rpc("eth_blockNumber"), 16)
        logs = question("eth_getLogs", {"fromBlock": hex(head - 2), "toBlock": hex(head), "address": usdt.address})

        async def asked(call: dict[str, Any], *rules: Rule) -> Any:
            proxy.rules = rules
            return (await client.post(proxy.url, json=call)).json()

        assert len((await asked(logs))["result"]) == 3
        assert (await asked(logs, Rule(Fault.EMPTY)))["result"] == []
        assert (await asked(logs, Rule(Fault.NULL)))["result"] is None
        assert (await asked(logs, Rule(Fault.WRONG_ID)))["id"] != 1
        assert len((await asked(logs, Rule(Fault.DUP)))["result"]) == 6
        assert "range" in (await asked(logs, Rule(Fault.RANGE_CAP, value=2)))["error"]["message"]
        assert len((await asked(logs, Rule(Fault.RANGE_CAP, value=3)))["result"]) == 3
        assert "2 results" in (await asked(logs, Rule(Fault.RESULT_CAP, value=2)))["error"]["message"]
        assert (await asked(question("eth_chainId"), Rule(Fault.CHAIN_ID, value=5)))["result"] == "0x5"
        assert (await asked(question("eth_blockNumber"), Rule(Fault.EMPTY)))["result"] == "0x"
        many: Any = [question("eth_getBlockByNumber", hex(n), False, id_=n) for n in range(2)]
        assert [answer["id"] for answer in await asked(many, Rule(Fault.DUP))] == [0, 1, 0]
        assert "result" in await asked(logs, Rule(Fault.EMPTY, methods=of("eth_call")))


async def test_who_is_behind_knows_nothing_of_the_newest_blocks() -> None:
    async with proxied() as (lab, proxy, client):
        paid = await lab.send_native(lab.accounts[9], 5)
        head = await lab.block()
        height = int(head["number"], 16)

        async def asked(method: str, *params: Any) -> Any:
            return (await client.post(proxy.url, json=question(method, *params))).json()

        for rule in (Rule(Fault.STALE_HEAD, value=2), Rule(Fault.FREEZE, value=height - 2)):
            proxy.rules = [rule]
            assert (await asked("eth_blockNumber"))["result"] == hex(height - 2)
            assert (await asked("eth_getBlockByNumber", "latest", False))["result"]["number"] == hex(height - 2)
            assert (await asked("eth_getBlockByNumber", hex(height), False))["result"] is None
            assert (await asked("eth_getTransactionReceipt", paid["transactionHash"]))["result"] is None
            pinned = await asked("eth_getBalance", lab.accounts[9], {"blockHash": head["hash"]})
            assert pinned["error"]["message"] == "header not found"
            assert (await asked("eth_getBalance", lab.accounts[9], "latest"))["result"] == await lab.rpc(
                "eth_getBalance", lab.accounts[9], hex(height - 2)
            )


async def test_one_seed_is_one_run_and_a_split_backend_answers_its_share() -> None:
    async with anvil() as lab:
        await lab.mine(10)

        async def heights(seed: int) -> list[str]:
            async with chaos(lab, seed=seed) as proxy, httpx.AsyncClient(trust_env=False, timeout=60) as client:
                late = behind(lab, lambda head: head - 5)
                proxy.rules = [Rule(Fault.SPLIT_BACKEND, 0.3, backend=late)]
                answers = [await client.post(proxy.url, json=question("eth_blockNumber")) for _ in range(40)]
                return [answer.json()["result"] for answer in answers]

        once = await heights(7)
        assert once == await heights(7)
        assert once != await heights(8)
        assert 5 <= once.count(hex(6)) <= 20
        assert (await honest(lab)(question("eth_blockNumber")))["result"] == hex(11)
