"""Transactions that somebody says paid us: read at once, proven like all else, and never added to what is there."""

from dataclasses import replace
from typing import Any

import pytest
from tests.chains.evm.scene import DEPTH, NATIVE, USDT, Scene, honest, scene
from tests.chains.evm.test_liars import deaf
from tests.chains.evm.test_reorgs import raw_transfer
from tests.lab.stub import error, result

from paynode.domain.chain import Claim, ClaimAnswer, RowKind, RowSource

Call = dict[str, Any]
NOWHERE = "0x" + "ab" * 32


async def claim(s: Scene, address: str, tx_hash: str) -> ClaimAnswer:
    """The answer to a claim at the next look."""
    asked = Claim(address, tx_hash)
    s.keeper.claims.append(asked)
    await s.tick()
    return s.keeper.answers[asked]


def booked(s: Scene, address: str, method: str) -> list[tuple[RowSource, int, str]]:
    return [(row.source, row.units, row.tx_hash) for row in s.rows(address, method)]


async def test_a_payment_whose_logs_every_provider_hides_is_found_by_its_hash_and_confirmed() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        for liar in s.liars:
            liar.twist = deaf("eth_getLogs")
        paid = await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        assert len(s.keeper.disputes) == 1
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.BOOKED
        assert booked(s, a, USDT) == [(RowSource.LOG, 5, paid["transactionHash"])]
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_a_claim_of_what_is_booked_already_changes_nothing() -> None:
    async with scene() as s:
        a, b = await s.shop(2)
        token = await s.lab.transfer(s.usdt, a, 5)
        coins = await s.lab.send_native(b, 6)
        for _ in range(2):
            assert await claim(s, a, token["transactionHash"]) is ClaimAnswer.BOOKED
            assert await claim(s, b, coins["transactionHash"]) is ClaimAnswer.BOOKED
            assert (len(s.rows(a, USDT)), len(s.rows(b, NATIVE))) == (1, 1)
        await s.settle()
        assert await claim(s, b, coins["transactionHash"]) is ClaimAnswer.BOOKED
        assert (s.keeper.confirmed_units(a, USDT), s.keeper.confirmed_units(b, NATIVE)) == (5, 6)


async def test_one_transaction_that_pays_several_ways_is_booked_whole_for_the_claimed_address_only() -> None:
    async with scene(providers=1) as s:
        a, b = await s.shop(2)
        batch = await s.lab.deploy("Batch")
        s.liars[0].twist = deaf("eth_getLogs")
        paid = await s.lab.pay_many(batch, s.usdt, [(a, 1), (b, 2), (a, 4)])
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.BOOKED
        assert [units for _, units, _ in booked(s, a, USDT)] == [1, 4]
        assert booked(s, b, USDT) == []


async def test_what_is_no_payment_to_the_address_is_said_to_be_none() -> None:
    async with scene() as s:
        a, b = await s.shop(2)
        fake, payer = await s.lab.deploy("FakeToken"), await s.lab.deploy("Payer")
        to_another = await s.lab.transfer(s.usdt, b, 5)
        spoofed = await s.lab.invoke(fake, "spoof", s.lab.faucet, a, 8)
        failed = await s.lab.invoke(payer, "payThenRevert", a, value=11)
        assert await claim(s, a, to_another["transactionHash"]) is ClaimAnswer.ELSEWHERE
        assert await claim(s, a, spoofed["transactionHash"]) is ClaimAnswer.ELSEWHERE
        assert await claim(s, a, failed["transactionHash"]) is ClaimAnswer.FAILED
        assert await claim(s, a, NOWHERE) is ClaimAnswer.UNKNOWN
        assert s.keeper.disputes == {}
        assert [row.address for row in s.keeper.standing] == [b]


async def test_a_claim_made_before_its_transaction_is_mined_is_answered_once_it_is() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        await s.lab.rpc("evm_setAutomine", False)
        tx_hash = await s.lab.send_native(a, 7, is_waiting=False)
        assert await claim(s, a, tx_hash) is ClaimAnswer.UNKNOWN
        await s.lab.mine()
        await s.tick()
        assert s.keeper.answers[Claim(a, tx_hash)] is ClaimAnswer.BOOKED
        assert booked(s, a, NATIVE) == [(RowSource.TX, 7, tx_hash)]


async def test_a_receipt_that_only_the_other_provider_has_is_enough() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        s.liars[0].twist = deaf("eth_getTransactionReceipt")
        s.liars[1].twist = deaf("eth_getLogs")
        paid = await s.lab.send_native(a, 7)
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.BOOKED


async def test_a_receipt_of_a_block_that_left_the_chain_brings_nothing() -> None:
    async with scene(providers=1) as s:
        (a,) = await s.shop()
        paid = await s.lab.transfer(s.usdt, a, 5)
        tx = await s.lab.rpc("eth_getTransactionByHash", paid["transactionHash"])
        await s.lab.reorg(1)
        await s.lab.mine()

        def remembering(call: Call, answer: Call) -> Call:
            old = {"eth_getTransactionReceipt": paid, "eth_getTransactionByHash": tx}
            return result(call, old[call["method"]]) if call["method"] in old else answer

        s.liars[0].twist = remembering
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.UNKNOWN
        assert s.keeper.standing == []


def pruned_below(height: int) -> Any:
    """A provider without the state below `height`."""

    def twist(call: Call, answer: Call) -> Call:
        if call["method"] == "eth_getBalance" and int(call["params"][1], 16) < height:
            return error(call, -32000, "missing trie node")
        return answer

    return twist


async def unplaced(s: Scene, *payments: int) -> tuple[str, list[str]]:
    """An address paid while nobody looked, long enough ago that no state tells when; and the payments' hashes."""
    (a,) = await s.shop()
    hashes = [(await s.lab.send_native(a, units))["transactionHash"] for units in payments]
    await s.lab.mine(400)
    s.liars[0].twist = pruned_below(int((await s.lab.block())["number"], 16) - 127)
    await s.tick()
    assert booked(s, a, NATIVE) == [(RowSource.UNPLACED, sum(payments), "")]
    return a, hashes


async def test_a_claim_splits_a_sum_without_transactions_and_the_rest_stays_as_old_as_it_was() -> None:
    async with scene(providers=1, timestamp=1_700_000_000) as s:
        a, (_, second) = await unplaced(s, 7, 11)
        (before,) = s.rows(a, NATIVE)
        assert await claim(s, a, second) is ClaimAnswer.BOOKED
        assert sorted(booked(s, a, NATIVE)) == [(RowSource.TX, 11, second), (RowSource.UNPLACED, 7, "")]
        (rest,) = [row for row in s.rows(a, NATIVE) if row.source is RowSource.UNPLACED]
        assert rest.earliest_at == before.earliest_at
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 18


async def test_a_claim_names_coins_too_few_to_be_searched_for() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        s.keeper.watches[0] = replace(s.keeper.watches[0], dust_units=100)
        paid = await s.lab.send_native(a, 7)
        await s.tick()
        assert booked(s, a, NATIVE) == [(RowSource.UNPLACED, 7, "")]
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.BOOKED
        assert booked(s, a, NATIVE) == [(RowSource.TX, 7, paid["transactionHash"])]
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 7


async def test_what_came_while_an_address_was_not_watched_is_as_old_as_the_last_look_at_it() -> None:
    async with scene(providers=1) as s:
        await s.tick()
        last_look = s.keeper.checkpoints[0]
        (a,) = await s.shop()
        watch = s.keeper.watches.pop()
        paid = await s.lab.send_native(a, 7)
        for _ in range(2):
            await s.lab.mine(200)
            await s.tick()
        s.liars[0].twist = pruned_below(int((await s.lab.block())["number"], 16) - 127)
        s.keeper.watches.append(watch)
        s.keeper.unseen[a] = last_look.at
        await s.tick()
        (row,) = s.rows(a, NATIVE)
        assert (row.source, row.earliest_at) == (RowSource.UNPLACED, last_look.at)
        await s.settle()
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.INCLUDED


async def test_a_confirmed_sum_without_transactions_is_never_added_to() -> None:
    async with scene(providers=1) as s:
        a, (first, second) = await unplaced(s, 7, 11)
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 18
        assert await claim(s, a, first) is ClaimAnswer.INCLUDED
        newer = await s.lab.send_native(a, 11)
        assert await claim(s, a, second) is ClaimAnswer.INCLUDED
        assert await claim(s, a, newer["transactionHash"]) is ClaimAnswer.BOOKED
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == 29
        assert s.keeper.disputes == {}


async def test_what_a_contract_sent_is_found_under_the_hash_of_the_call() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        payer = await s.lab.deploy("Payer")
        called = await s.lab.invoke(payer, "pay", a, value=11)
        assert await claim(s, a, called["transactionHash"]) is ClaimAnswer.INCLUDED
        assert [units for _, units, _ in booked(s, a, NATIVE)] == [11]
        await s.settle()
        assert await claim(s, a, called["transactionHash"]) is ClaimAnswer.INCLUDED
        assert s.keeper.confirmed_units(a, NATIVE) == 11


async def test_coins_that_are_gone_again_are_not_booked_on_a_claim() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        paid = await s.lab.send_native(a, 7)
        await s.lab.set_balance(a, 0)
        await s.lab.mine()
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.UNSETTLED
        assert s.keeper.standing == []


async def test_a_token_that_came_and_was_taken_before_anybody_looked_is_booked_both_ways() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        paid = await s.lab.transfer(s.usdt, a, 5)
        await s.lab.rpc("anvil_impersonateAccount", a)
        await s.lab.set_balance(a, 10**18)
        await s.lab.transfer(s.usdt, s.lab.faucet, 5, sender=a)
        await s.lab.set_balance(a, 0)
        await s.lab.mine()
        await s.tick()
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.BOOKED
        assert [(row.kind, row.units) for row in s.rows(a, USDT)] == [(RowKind.IN, 5), (RowKind.OUT, 5)]
        assert s.keeper.disputes == {}


async def test_a_transaction_whose_old_block_one_provider_still_has_is_not_booked_in_its_new_one() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await s.lab.mine(2)
        await s.tick()
        raw, paid = await raw_transfer(s, a, 5)
        await s.tick()
        await s.settle()
        block = await s.lab.block(int(paid["blockNumber"], 16))
        await s.lab.reorg(DEPTH + 1, [(raw, 0)])
        assert (await s.lab.receipt(paid["transactionHash"]))["blockHash"] != paid["blockHash"]

        def loyal(call: Call, answer: Call) -> Call:
            return result(call, block) if call["params"][:1] == [block["number"]] else answer

        s.liars[1].twist = loyal
        assert await claim(s, a, paid["transactionHash"]) is ClaimAnswer.UNSETTLED
        assert len(s.rows(a, USDT)) == 1
        s.liars[1].twist = honest
        await s.lab.mine()
        await s.tick()
        await s.tick()
        await s.settle()
        assert s.keeper.answers[Claim(a, paid["transactionHash"])] is ClaimAnswer.BOOKED
        assert s.keeper.confirmed_units(a, USDT) == 5


@pytest.mark.parametrize("is_own", [True, False])
async def test_what_our_own_accounts_send_is_no_payment(is_own: bool) -> None:
    async with scene() as s:
        (a,) = await s.shop()
        if is_own:
            s.keeper.own_addresses.add(s.lab.faucet)
        paid = await s.lab.transfer(s.usdt, a, 5)
        expected = ClaimAnswer.ELSEWHERE if is_own else ClaimAnswer.BOOKED
        assert await claim(s, a, paid["transactionHash"]) is expected
