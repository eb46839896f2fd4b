"""Native coins that contracts and smart wallets send: counted once, and named where the provider traces."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.chains.evm.scene import DEPTH, NATIVE, USDT, Scene, honest, scene
from tests.lab.client import Deployed, call_data
from tests.lab.stub import error

from paynode.domain.chain import Row, RowSource

TRACES = ("trace_block", "debug_traceBlockByHash")


def without(*methods: str) -> Any:
    """A provider that does not offer `methods`."""

    def twist(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        missing = f"the method {call['method']} does not exist/is not available"
        return error(call, -32601, missing) if call["method"] in methods else answer

    return twist


def facts(rows: Sequence[Row]) -> set[tuple[str, RowSource, int, str]]:
    return {(row.address, row.source, row.units, row.tx_hash) for row in rows}


def batch(payments: Sequence[tuple[str, int, bytes]], wallet: Deployed, function: str = "execute") -> str:
    """The call data of all payments: to whom, coins, call data."""
    return call_data(wallet.compiled, function, list(zip(*payments, strict=True)))


async def pay_in_every_way(s: Scene, a: str, payer: Deployed) -> dict[str, Any]:
    """One block: a plain payment that fails, two contracts that pay, and one that undoes its payment."""
    await s.lab.rpc("evm_setAutomine", False)
    await s.lab.set_code(a, "0x3615600957005b60006000fd")  # takes coins only with call data: a plain payment fails
    sent = {
        "plain": await s.lab.send_native(a, 11, is_waiting=False, gas=100_000),
        "destroyed": await s.lab.invoke(payer, "payBySelfdestruct", a, value=11, is_waiting=False),
        "undone": await s.lab.invoke(payer, "payAndRevertInside", a, value=11, is_waiting=False),
        "reverted": await s.lab.invoke(payer, "payThenRevert", a, value=11, is_waiting=False),
    }
    await s.lab.mine()
    receipts = {how: await s.lab.receipt(tx_hash) for how, tx_hash in sent.items()}
    assert len({receipt["blockHash"] for receipt in receipts.values()}) == 1
    assert [receipt["status"] for receipt in receipts.values()] == ["0x0", "0x1", "0x1", "0x0"]
    await s.lab.rpc("evm_setAutomine", True)
    return sent


@pytest.mark.parametrize("missing", [(), TRACES[:1], TRACES[1:]])
async def test_among_payments_that_fail_are_undone_and_succeed_only_the_last_is_booked_and_named(
    missing: tuple[str, ...],
) -> None:
    async with scene(providers=1) as s:
        payer = await s.lab.deploy("Payer")
        (a,) = await s.shop()
        s.liars[0].twist = without(*missing)
        sent = await pay_in_every_way(s, a, payer)
        seen = await s.tick()
        assert facts(seen.rows) == {(a, RowSource.INTERNAL, 11, sent["destroyed"])}
        assert not seen.disputes
        (row,) = seen.rows
        assert row.tx_sender == s.lab.faucet
        assert not row.own
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 11


async def test_without_traces_the_same_is_booked_without_a_name_and_the_provider_is_not_asked_again() -> None:
    async with scene(providers=1) as s:
        payer = await s.lab.deploy("Payer")
        a, b = await s.shop(2)
        s.liars[0].twist = without(*TRACES)
        await pay_in_every_way(s, a, payer)
        seen = await s.tick()
        assert facts(seen.rows) == {(a, RowSource.INTERNAL, 11, "")}
        s.liars[0].forget()
        await s.lab.invoke(payer, "pay", b, value=7)
        assert facts((await s.tick()).rows) == {(b, RowSource.INTERNAL, 7, "")}
        assert not set(TRACES) & set(s.liars[0].methods)
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 11
        assert s.keeper.confirmed_units(b, NATIVE) == 7


async def test_a_block_is_traced_once_for_all_who_were_paid_in_it() -> None:
    async with scene(providers=1) as s:
        bank = await s.lab.deploy("Batch")
        a, b = await s.shop(2)
        receipt = await s.lab.pay_many_native(bank, [(a, 5), (b, 6), (a, 7)])
        s.liars[0].forget()
        seen = await s.tick()
        tx_hash = receipt["transactionHash"]
        assert facts(seen.rows) == {(a, RowSource.INTERNAL, 12, tx_hash), (b, RowSource.INTERNAL, 6, tx_hash)}
        assert [method for method in s.liars[0].methods if method in TRACES] == ["trace_block"]
        await s.settle()
        assert [s.keeper.confirmed_units(x, NATIVE) for x in (a, b)] == [12, 6]


async def test_two_transactions_that_pay_from_inside_in_one_block_are_two_rows() -> None:
    async with scene() as s:
        payer = await s.lab.deploy("Payer")
        (a,) = await s.shop()
        await s.lab.rpc("evm_setAutomine", False)
        first = await s.lab.invoke(payer, "pay", a, value=5, is_waiting=False)
        second = await s.lab.invoke(payer, "pay", a, value=5, is_waiting=False)
        plain = await s.lab.send_native(a, 5, is_waiting=False)
        await s.lab.mine()
        seen = await s.tick()
        assert facts(seen.rows) == {
            (a, RowSource.INTERNAL, 5, first),
            (a, RowSource.INTERNAL, 5, second),
            (a, RowSource.TX, 5, plain),
        }
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 15


async def test_a_trace_that_tells_another_sum_names_nothing() -> None:
    async with scene(providers=1) as s:
        payer = await s.lab.deploy("Payer")
        (a,) = await s.shop()

        def inflated(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            if call["method"] == "trace_block":
                for trace in answer["result"]:
                    trace["action"] |= {"value": "0xffff"}
            return answer

        s.liars[0].twist = inflated
        await s.lab.invoke(payer, "pay", a, value=5)
        assert facts((await s.tick()).rows) == {(a, RowSource.INTERNAL, 5, "")}
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 5


async def test_traces_that_come_and_go_neither_rename_nor_repeat_what_is_booked() -> None:
    async with scene(providers=1) as s:
        payer = await s.lab.deploy("Payer")
        (a,) = await s.shop()
        first = (await s.lab.invoke(payer, "pay", a, value=5))["transactionHash"]
        assert facts((await s.tick()).rows) == {(a, RowSource.INTERNAL, 5, first)}
        s.liars[0].twist = without(*TRACES)
        await s.lab.invoke(payer, "pay", a, value=6)
        seen = await s.tick()
        assert (facts(seen.rows), seen.dropped) == ({(a, RowSource.INTERNAL, 6, "")}, ())
        s.connect()  # after a restart it asks again
        s.liars[0].twist = honest
        third = (await s.lab.invoke(payer, "pay", a, value=7))["transactionHash"]
        seen = await s.tick()
        assert (facts(seen.rows), seen.dropped) == ({(a, RowSource.INTERNAL, 7, third)}, ())
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 18
        assert len(s.keeper.rows) == 3


async def test_a_wallet_behind_a_proxy_pays_and_its_delegated_call_counts_for_nothing() -> None:
    async with scene() as s:
        code = await s.lab.deploy("WalletCode")
        wallet = await s.lab.deploy("WalletProxy", code.address)
        a, b = await s.shop(2)
        paying = batch([(a, 5, b""), (b, 6, b""), (a, 7, b"")], code)
        receipt = await s.lab.send(wallet.address, paying, value=18)
        assert receipt["status"] == "0x1"
        seen = await s.tick()
        tx_hash = receipt["transactionHash"]
        assert facts(seen.rows) == {(a, RowSource.INTERNAL, 12, tx_hash), (b, RowSource.INTERNAL, 6, tx_hash)}
        assert {(row.sender, row.tx_sender) for row in seen.rows} == {(wallet.address, s.lab.faucet)}
        await s.settle()
        assert [s.keeper.confirmed_units(x, NATIVE) for x in (a, b)] == [12, 6]


@pytest.mark.parametrize("is_sponsored", [False, True])
async def test_a_payer_whose_account_runs_code_pays_coins_and_tokens_in_one_batch(is_sponsored: bool) -> None:
    """EIP-7702: `to` is the payer itself; with a sponsor the transaction's sender is somebody else."""
    async with scene() as s:
        code = await s.lab.deploy("WalletCode")
        payer, sponsor = s.lab.accounts[3], s.lab.accounts[4]
        a, b = await s.shop(2)
        await s.lab.transfer(s.usdt, payer, 500)
        await s.lab.set_code(payer, "0xef0100" + code.address[2:])
        transfer = bytes.fromhex(call_data(s.usdt.compiled, "transfer", [a, 49])[2:])
        undone = batch([(b, 3, b""), (s.usdt.address, 1, b"")], code)  # the token takes no coins: all of it reverts
        payments = [(a, 5, b""), (s.usdt.address, 0, transfer), (payer, 3, bytes.fromhex(undone[2:]))]
        receipt = await s.lab.send(
            payer, batch(payments, code, "executeEach"), sender=sponsor if is_sponsored else payer
        )
        assert (receipt["status"], receipt["to"]) == ("0x1", payer.lower())
        seen = await s.tick()
        tx_hash = receipt["transactionHash"]
        assert facts(seen.rows) == {(a, RowSource.INTERNAL, 5, tx_hash), (a, RowSource.LOG, 49, tx_hash)}
        assert {row.tx_sender for row in seen.rows} == {sponsor if is_sponsored else payer}
        assert {row.sender for row in seen.rows} == {payer}
        assert not seen.disputes
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 5
        assert s.keeper.confirmed_units(a, USDT) == 49


@pytest.mark.parametrize("logger", ["0xfffffffffffffffffffffffffffffffffffffffe", "0x" + "1010".rjust(40, "0")])
async def test_a_native_transfer_that_is_also_logged_counts_once(logger: str) -> None:
    async with scene() as s:
        native_logger = await s.lab.deploy("NativeLogger")
        await s.lab.set_code(logger, native_logger.compiled.runtime_code)
        (a,) = await s.shop()
        words = f"0x{a[2:].lower():0>64}{5:064x}"
        logged = await s.lab.send(logger, words, value=5)
        mimicked = await s.lab.send(logger, words)
        assert [len(receipt["logs"]) for receipt in (logged, mimicked)] == [1, 1]
        seen = await s.tick()
        assert facts(seen.rows) == {(a, RowSource.INTERNAL, 5, logged["transactionHash"])}
        assert not seen.disputes
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 5


async def test_an_internal_payment_that_is_mined_anew_after_a_reorganisation_is_the_same_payment() -> None:
    async with scene() as s:
        payer = await s.lab.deploy("Payer")
        (a,) = await s.shop()
        await s.lab.mine(DEPTH)
        receipt = await s.lab.invoke(payer, "pay", a, value=5)
        tx_hash = receipt["transactionHash"]
        await s.tick()
        raw = await s.lab.rpc("eth_getRawTransactionByHash", tx_hash)
        await s.lab.reorg(1, [(raw, 0)])
        await s.lab.mine()
        seen = await s.tick()
        assert len(seen.voided) == 1
        (row,) = seen.rows
        assert (row.tx_hash, row.units, row.block.hash == receipt["blockHash"]) == (tx_hash, 5, False)
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 5
