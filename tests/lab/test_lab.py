"""The laboratory itself: what other tests take for granted about it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import tests.lab.anvil
import trio
from tests.lab.anvil import anvil


async def test_without_the_binary_a_test_fails_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests.lab.anvil, "BINARY", Path("/nowhere/anvil"))
    with pytest.raises(FileNotFoundError, match="packaging/setup test"):
        async with anvil():
            raise AssertionError("never here")


async def test_the_chain_is_gone_after_the_test() -> None:
    async with anvil() as lab:
        assert int((await lab.block())["number"], 16) == 1
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(lab.url, json={})


async def test_the_chain_dies_with_a_test_that_is_killed() -> None:
    script = "import trio; from tests.lab.anvil import anvil\nasync def main():\n async with anvil() as lab:\n"
    script += "  print(lab.url, flush=True); await trio.sleep_forever()\ntrio.run(main)"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert child.stdout is not None
    with child, child.stdout:
        url = child.stdout.readline().strip()
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    with trio.fail_after(60):
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            while True:
                try:
                    await client.post(url, json={})
                except httpx.TransportError:
                    return
                await trio.sleep(0.01)


async def test_the_truth_is_every_transfer_and_every_native_step() -> None:
    async with anvil() as lab:
        usdt, batch, payer = await lab.deploy("Standard", 6), await lab.deploy("Batch"), await lab.deploy("Payer")
        ours, other = lab.accounts[8], lab.accounts[9]
        start = int((await lab.block())["number"], 16)
        await lab.pay_many(batch, usdt, [(ours, 5), (other, 6), (ours, 7)])
        await lab.pay_many_native(batch, [(ours, 1), (other, 2)])
        await lab.invoke(payer, "pay", ours, value=10)
        await lab.invoke(payer, "payBySelfdestruct", ours, value=100)
        undone = await lab.invoke(payer, "payAndRevertInside", ours, value=1000)
        failed = await lab.invoke(payer, "payThenRevert", ours, value=1000)
        truth = await lab.truth([ours], [usdt], start=start)
        assert [(t.recipient, t.units, t.sender) for t in truth.transfers] == [
            (ours, 5, lab.faucet),
            (ours, 7, lab.faucet),
        ]
        assert [(step.address, step.units) for step in truth.native_steps] == [(ours, 1), (ours, 10), (ours, 100)]
        assert (undone["status"], failed["status"]) == ("0x1", "0x0")


async def test_a_reorg_replaces_blocks_and_takes_what_is_not_sent_again() -> None:
    async with anvil() as lab:
        ours = lab.accounts[9]
        start = int((await lab.block())["number"], 16)
        await lab.send_native(ours, 1)
        await lab.send_native(ours, 2)
        before = await lab.block()
        await lab.reorg(2, [({"from": lab.faucet, "to": ours, "value": "0x2"}, 1)])
        after = await lab.block()
        assert (before["number"], before["hash"]) != (after["number"], after["hash"])
        assert [step.units for step in (await lab.truth([ours], start=start)).native_steps] == [2]


async def test_without_mining_blocks_come_when_asked_for() -> None:
    async with anvil(is_mining=False) as lab:
        tx_hash = await lab.send_native(lab.accounts[9], 1, is_waiting=False)
        assert await lab.rpc("eth_getTransactionReceipt", tx_hash) is None
        await lab.mine(2)
        assert (await lab.receipt(tx_hash))["blockNumber"] == "0x2"
        snapshot = await lab.snapshot()
        await lab.set_balance(lab.accounts[9], 0)
        await lab.revert(snapshot)
        assert await lab.rpc("eth_getBalance", lab.accounts[9], "latest") == hex(10_000 * 10**18 + 1)


@pytest.mark.parametrize(
    "token", ["Standard", "TetherLike", "FakeToken", "FeeToken", "GrossFeeToken", "Issued", "FalseTopUp"]
)
async def test_each_token_behaves_as_its_name_says(token: str) -> None:
    async with anvil() as lab:
        contract = await lab.deploy(token, *([6] if token == "Standard" else []))
        ours = lab.accounts[9]
        start = int((await lab.block())["number"], 16)
        paid = await lab.transfer(contract, ours, 1000)
        false = await lab.transfer(contract, ours, 10**50, gas=200_000)
        logged = [t.units for t in (await lab.truth([ours], [contract], start=start)).transfers]
        held = await lab.read(contract, "balanceOf", ours)
        expected = {
            "FakeToken": ([1000, 10**50], 0, "0x1"),
            "FeeToken": ([990], 990, "0x0"),
            "GrossFeeToken": ([1000], 990, "0x0"),
            "FalseTopUp": ([1000], 1000, "0x1"),
        }
        assert (logged, held, false["status"]) == expected.get(token, ([1000], 1000, "0x0"))
        assert paid["status"] == "0x1"
