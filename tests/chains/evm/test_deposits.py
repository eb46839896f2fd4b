"""Deposits on a real chain: each is found once, with its exact evidence, and confirmed at depth."""

import pytest
from tests.chains.evm.scene import DEPTH, NATIVE, TETHER, USDT, our_address, scene

from paynode.domain.chain import Pair, RowKind, RowSource


async def test_a_token_deposit_is_found_at_once_and_confirmed_at_depth() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        receipt = await s.lab.transfer(s.usdt, a, 49_900_000)
        seen = await s.tick()
        (row,) = seen.rows
        assert (row.kind, row.source, row.pair, row.units) == (RowKind.IN, RowSource.LOG, Pair(a, USDT), 49_900_000)
        assert (row.tx_hash, row.block.hash) == (receipt["transactionHash"], receipt["blockHash"])
        assert (row.tx_sender, row.sender, row.own) == (s.lab.faucet, s.lab.faucet, False)
        assert row.tx_nonce is not None
        assert seen.checkpoint == seen.head
        assert not seen.disputes
        assert s.keeper.confirmed_units(a, USDT) == 0
        await s.lab.mine(DEPTH - 1)
        await s.tick()
        assert s.keeper.confirmed_units(a, USDT) == 49_900_000


async def test_a_token_without_return_values_is_credited_like_any_other() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.tether, a, 5)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, TETHER) == 5


async def test_native_coins_are_placed_in_the_block_that_brought_them() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        await s.lab.mine(5)
        receipt = await s.lab.send_native(a, 10**18)
        await s.lab.mine(9)
        seen = await s.tick()
        (row,) = seen.rows
        assert (row.source, row.units, row.tx_hash) == (RowSource.TX, 10**18, receipt["transactionHash"])
        assert row.block.hash == receipt["blockHash"]
        await s.settle(1)
        assert s.keeper.confirmed_units(a, NATIVE) == 10**18


async def test_several_native_payments_between_two_ticks_become_rows_of_their_own() -> None:
    async with scene() as s:
        a, b = await s.shop(2)
        paid = {}
        for address, units in [(a, 3), (b, 5), (a, 7)]:
            paid[(await s.lab.send_native(address, units))["transactionHash"]] = (address, units)
            await s.lab.mine(3)
        seen = await s.tick()
        assert {row.tx_hash: (row.address, row.units) for row in seen.rows} == paid
        assert not seen.disputes


async def test_coins_that_a_contract_sends_are_placed_in_their_block() -> None:
    async with scene() as s:
        a, b = await s.shop(2)
        payer = await s.lab.deploy("Payer")
        first = await s.lab.invoke(payer, "pay", a, value=11)
        second = await s.lab.invoke(payer, "payBySelfdestruct", b, value=13)
        await s.tick()
        assert [(r.source, r.units, r.block.hash) for r in s.rows(a, NATIVE)] == [
            (RowSource.INTERNAL, 11, first["blockHash"])
        ]
        assert [(r.source, r.units, r.block.hash) for r in s.rows(b, NATIVE)] == [
            (RowSource.INTERNAL, 13, second["blockHash"])
        ]
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 11
        assert s.keeper.confirmed_units(b, NATIVE) == 13


async def test_a_payment_that_is_undone_inside_its_transaction_brings_nothing() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        payer = await s.lab.deploy("Payer")
        await s.lab.invoke(payer, "payAndRevertInside", a, value=11)
        await s.lab.invoke(payer, "payThenRevert", a, value=11)
        seen = await s.tick()
        assert not seen.rows
        assert not seen.disputes


async def test_a_batch_credits_every_recipient_and_one_address_twice() -> None:
    async with scene() as s:
        a, b, c = await s.shop(3)
        batch = await s.lab.deploy("Batch")
        await s.lab.pay_many(batch, s.usdt, [(a, 1), (b, 2), (c, 3), (a, 4)])
        await s.lab.pay_many_native(batch, [(a, 5), (b, 6), (a, 7)])
        await s.tick()
        await s.settle()
        assert sorted(row.units for row in s.keeper.confirmed(a, USDT)) == [1, 4]
        assert [s.keeper.confirmed_units(x, USDT) for x in (a, b, c)] == [5, 2, 3]
        assert [s.keeper.confirmed_units(x, NATIVE) for x in (a, b, c)] == [12, 6, 0]
        # A router paid on behalf of the payer: the log names the payer, and so does the transaction.
        assert all(row.tx_sender == s.lab.faucet for row in s.rows(a, USDT))


async def test_worthless_tokens_and_zero_transfers_are_neither_booked_nor_asked_for() -> None:
    async with scene(providers=1) as s:
        (a,) = await s.shop()
        fake = await s.lab.deploy("FakeToken")
        await s.lab.invoke(fake, "transfer", a, 49_900_000)
        await s.lab.invoke(fake, "spoofMany", a, 300)
        await s.lab.transfer(s.usdt, a, 0)
        await s.lab.invoke(s.usdt, "transferFrom", a, s.lab.faucet, 0)
        s.liars[0].forget()
        seen = await s.tick()
        assert not seen.rows
        assert not seen.disputes
        assert s.liars[0].methods == ["eth_getBlockByNumber", "eth_call"]
        await s.lab.transfer(s.usdt, a, 7)
        (row,) = (await s.tick()).rows
        assert (row.method, row.units) == (USDT, 7)


async def test_a_transfer_that_returns_false_brings_nothing() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        assert (await s.lab.invoke(s.usdt, "transfer", a, 1, sender=s.lab.accounts[5]))["status"] == "0x0"
        assert not (await s.tick()).rows


async def test_a_quiet_tick_takes_two_calls_whatever_is_watched() -> None:
    async with scene(providers=2) as s:
        await s.shop(50)
        await s.tick()
        for liar in s.liars:
            liar.forget()
        await s.lab.mine(3)
        await s.tick()
        assert s.liars[0].methods == ["eth_getBlockByNumber", "eth_call"]
        assert s.liars[1].methods == []


async def test_a_deposit_of_either_kind_stays_within_thirty_calls() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        for pay in (lambda: s.lab.transfer(s.usdt, a, 5), lambda: s.lab.send_native(a, 5)):
            await s.lab.mine(50)
            for liar in s.liars:
                liar.forget()
            await pay()
            await s.lab.mine(70)
            await s.tick()
            await s.tick()
            assert sum(len(liar.methods) for liar in s.liars) <= 30 + 4
        assert s.keeper.confirmed_units(a, USDT) == s.keeper.confirmed_units(a, NATIVE) == 5


async def test_a_tick_on_a_chain_that_stands_still_finds_nothing_new() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.send_native(a, 5)
        await s.tick()
        again = await s.tick()
        assert (again.rows, again.voided, again.dropped, dict(again.disputes)) == ((), (), (), {})
        assert again.checkpoint == s.keeper.checkpoints[0]


async def test_a_week_of_silence_is_caught_up_without_a_jump() -> None:
    async with scene() as s:
        a, b = await s.shop(2)
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.send_native(b, 6)
        await s.lab.mine(600)
        await s.lab.transfer(s.usdt, b, 7)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 5
        assert s.keeper.confirmed_units(b, NATIVE) == 6
        assert s.keeper.confirmed_units(b, USDT) == 7


async def test_money_from_before_an_address_was_ours_stays_disputed_and_is_never_credited() -> None:
    async with scene() as s:
        await s.lab.transfer(s.usdt, our_address(1), 5)
        (a,) = await s.shop()
        await s.lab.mine()
        seen = await s.tick()
        assert not seen.rows
        assert seen.disputes.keys() == {Pair(a, USDT)}
        assert seen.checkpoint == seen.head


async def test_a_search_for_one_address_credits_no_other_with_money_from_below_its_floor() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        newcomer = our_address(99)
        await s.lab.transfer(s.usdt, newcomer, 5)
        await s.lab.transfer(s.usdt, a, 6)
        await s.lab.mine(3)
        s.keeper.watch(newcomer, [USDT], floor=await s.chain.head_number())
        await s.lab.transfer(s.usdt, newcomer, 7)
        seen = await s.tick()
        assert {(row.address, row.units) for row in seen.rows} == {(a, 6), (newcomer, 7)}
        assert seen.disputes.keys() == {Pair(newcomer, USDT)}


@pytest.mark.parametrize("paid", [100, 10**30])
async def test_a_token_that_takes_a_fee_on_the_way_confirms_nothing_and_delays_nobody(paid: int) -> None:
    async with scene() as s:
        gross = await s.lab.deploy("GrossFeeToken")
        a, b = await s.shop(2, [USDT, s.list_token("gross", gross)])
        await s.lab.transfer(gross, a, paid)
        await s.lab.transfer(s.usdt, b, 5)
        seen = await s.tick()
        assert seen.disputes.keys() == {Pair(a, "lab_gross")}
        assert seen.disputes[Pair(a, "lab_gross")].expected_units == paid
        await s.settle()
        assert s.keeper.confirmed_units(a, "lab_gross") == 0
        assert s.keeper.confirmed_units(b, USDT) == 5


async def test_a_token_that_will_not_tell_a_balance_disputes_that_pair_only() -> None:
    async with scene() as s:
        awkward = await s.lab.deploy("Awkward")
        a, b = await s.shop(2, [USDT, s.list_token("awkward", awkward)])
        await s.lab.invoke(awkward, "setWay", a, 1)
        await s.lab.transfer(awkward, a, 5)
        await s.lab.transfer(awkward, b, 6)
        await s.tick()
        await s.settle()
        assert s.keeper.disputes[Pair(a, "lab_awkward")].observed_units is None
        assert s.keeper.confirmed_units(a, "lab_awkward") == 0
        assert s.keeper.confirmed_units(b, "lab_awkward") == 6
        await s.lab.invoke(awkward, "setWay", a, 0)
        await s.settle()
        assert s.keeper.confirmed_units(a, "lab_awkward") == 5


async def test_tokens_that_leave_without_us_are_booked_as_gone() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        await s.lab.rpc("anvil_impersonateAccount", a)
        await s.lab.set_balance(a, 10**18)
        await s.lab.transfer(s.usdt, s.lab.faucet, 5, sender=a, gas=100_000)
        await s.tick()
        await s.settle()
        assert [(row.kind, row.source) for row in s.rows(a, USDT)] == [
            (RowKind.IN, RowSource.LOG),
            (RowKind.OUT, RowSource.LOG),
        ]
        assert Pair(a, USDT) not in s.keeper.disputes
        assert s.keeper.confirmed_units(a, USDT) == 0
