from dataclasses import replace

import pytest
from tests.chains.sim.scene import COIN, DEPTH, ETHER, GAS, KEYS, METHODS, SECOND_SHOP, SHOP, TREASURY, USDT, Scene

from paynode.chains.base import DeepReorg
from paynode.chains.sim.keys import CUSTOMER
from paynode.domain.chain import Claim, ClaimAnswer, Pair, RowKind, RowSource

FEE = 21_000 * 10**9


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_payment_is_a_row_at_the_next_tick_and_confirmed_at_its_depth(scene):
    tx_hash = scene.world.pay(SHOP, USDT.method, 5)
    block = scene.world.mine()
    (row,) = (await scene.tick()).rows
    assert (row.pair, row.kind, row.source, row.units) == (Pair(SHOP, USDT.method), RowKind.IN, RowSource.LOG, 5)
    assert (row.block, row.tx_hash, row.log_index, row.sender, row.own) == (block, tx_hash, 0, CUSTOMER, False)
    scene.world.mine(DEPTH - 2)
    assert not (await scene.tick()).confirmed
    scene.world.mine()
    assert (await scene.tick()).confirmed == {1: 5}


async def test_a_tick_on_a_chain_that_does_not_move_finds_nothing_new(scene):
    scene.world.pay(SHOP, COIN.method, 5)
    scene.world.mine(DEPTH)
    await scene.tick()
    await scene.tick()
    seen = await scene.tick()
    assert (seen.rows, seen.voided, dict(seen.confirmed), dict(seen.floors)) == ((), (), {}, {})
    assert scene.confirmed_equals_balances()


async def test_each_transfer_of_a_batch_is_a_row_but_coins_to_one_address_are_one(scene):
    batch = [(SHOP, USDT.method, 1), (SHOP, USDT.method, 2), (SHOP, COIN.method, 3), (SHOP, COIN.method, 4)]
    scene.world.pay_many([*batch, (SECOND_SHOP, USDT.method, 5), (TREASURY, USDT.method, 6)])
    scene.world.mine()
    found = [(row.address, row.source, row.units, row.log_index) for row in (await scene.tick()).rows]
    assert sorted(found) == sorted(
        [
            (SHOP, RowSource.LOG, 1, 0),
            (SHOP, RowSource.LOG, 2, 1),
            (SHOP, RowSource.TX, 7, -1),
            (SECOND_SHOP, RowSource.LOG, 5, 4),
        ]
    )


async def test_a_payment_that_reverted_is_no_row(scene):
    scene.world.pay(SHOP, COIN.method, 5, reverts=True)
    scene.world.mine()
    seen = await scene.tick()
    assert (seen.rows, dict(seen.disputes)) == ((), {})


async def test_our_own_transaction_is_booked_on_both_sides_from_its_receipt(scene):
    scene.world.fund(GAS, COIN.method, ETHER)
    signed = await scene.signed(GAS, SHOP, COIN, 1000)
    await scene.chain.broadcast(signed)
    block = scene.world.mine()
    seen = await scene.tick()
    ours = [row for row in seen.rows if row.tx_hash == signed.tx_hash]
    assert [(row.address, row.kind, row.units) for row in ours] == [
        (GAS, RowKind.OUT, 1000 + FEE),
        (SHOP, RowKind.IN, 1000),
    ]
    assert all(row.own and row.source is RowSource.RECEIPT for row in ours)
    (receipt,) = seen.receipts
    assert (receipt.tx_hash, receipt.block, receipt.succeeded, receipt.fee_units) == (signed.tx_hash, block, True, FEE)
    assert not seen.final_receipts
    assert (await scene.settle()).final_receipts == {receipt.id}
    assert scene.confirmed_equals_balances()


async def test_our_own_transaction_that_failed_costs_its_fee_and_moves_nothing(scene):
    scene.world.fund(SHOP, COIN.method, ETHER)
    scene.world.fund(SHOP, USDT.method, 50)
    signed = await scene.signed(SHOP, TREASURY, USDT, 50)
    await scene.chain.broadcast(signed)
    scene.world.mine()
    scene.world.reorg(2, keep={signed.tx_hash})  # the tokens never came
    seen = await scene.tick()
    assert [receipt.succeeded for receipt in seen.receipts] == [False]
    assert {row.pair: row.effect for row in seen.rows if row.tx_hash == signed.tx_hash} == {
        Pair(SHOP, COIN.method): -FEE
    }
    assert not seen.disputes


async def test_a_row_goes_void_with_its_own_block_and_no_other(scene):
    scene.world.pay(SHOP, USDT.method, 1)
    scene.world.mine(2)
    await scene.tick()
    scene.world.pay(SHOP, USDT.method, 2)
    scene.world.mine()
    await scene.tick()
    scene.world.reorg(1, keep=False)
    seen = await scene.tick()
    assert (seen.fork_number, seen.voided) == (2, (2,))
    assert [row.units for row in scene.books.standing] == [1]


async def test_a_payment_that_moved_to_another_block_is_a_new_row(scene):
    tx_hash = scene.world.pay(SHOP, USDT.method, 1)
    scene.world.mine(DEPTH)
    await scene.tick()
    await scene.tick()
    assert scene.books.confirmed_units(SHOP, USDT.method) == 1
    scene.world.reorg(DEPTH, keep=True)
    seen = await scene.tick()
    assert (seen.voided, [row.tx_hash for row in seen.rows]) == ((1,), [tx_hash])
    assert scene.books.reversed_ids == [1]
    await scene.settle()
    assert scene.confirmed_equals_balances()


async def test_an_address_shown_on_the_old_fork_is_paid_below_its_floor_on_the_new_one(scene):
    scene.world.mine(5)
    await scene.tick()
    scene.world.mine(2)
    await scene.tick()
    shown = TREASURY
    scene.books.watch(shown, METHODS)
    tx_hash = scene.world.pay(shown, USDT.method, 9)
    scene.world.mine()
    scene.world.reorg(3, keep={tx_hash})
    seen = await scene.tick()
    assert [(row.address, row.block.number) for row in seen.rows] == [(shown, 6)]
    assert seen.floors[Pair(shown, USDT.method)] == 5


async def test_blocks_replaced_below_the_horizon_stop_the_network(scene):
    scene.books.horizon = 10
    for _ in range(12):
        scene.world.mine()
        await scene.tick()
    scene.world.reorg(9, keep=True)
    await scene.tick()
    scene.world.reorg(12, keep=True)
    with pytest.raises(DeepReorg):
        await scene.tick()


async def test_a_network_that_began_anew_is_not_followed(scene):
    scene.world.mine()
    await scene.tick()
    with pytest.raises(DeepReorg, match="never had a block 1"):
        await Scene(scene.clock).chain.observe(scene.books.books())


async def test_money_from_before_we_watched_is_disputed_and_delays_no_other_pair(scene):
    scene.world.fund(TREASURY, USDT.method, 7)
    await scene.tick()
    scene.books.watch(TREASURY, METHODS, depth=DEPTH)
    scene.world.pay_many([(TREASURY, COIN.method, 1), (TREASURY, USDT.method, 2)])
    scene.world.mine()
    first = await scene.tick()
    dispute = first.disputes[Pair(TREASURY, USDT.method)]
    assert (dispute.expected_units, dispute.observed_units, dispute.since) == (2, 9, first.head)
    seen = await scene.settle()
    assert seen.disputes[Pair(TREASURY, USDT.method)] == dispute
    assert [scene.books.confirmed_units(TREASURY, method) for method in (COIN.method, USDT.method)] == [1, 0]


async def test_addresses_that_are_not_ours_are_no_rows(scene):
    scene.world.fund(TREASURY, USDT.method, 7)
    assert TREASURY not in KEYS
    assert (await scene.tick()).rows == ()


async def test_a_claim_finds_a_payment_below_the_floor_once(scene):
    paid = scene.world.pay(SHOP, USDT.method, 5)
    failed = scene.world.pay(SHOP, USDT.method, 6, reverts=True)
    scene.world.mine(2)
    scene.books.watches[:] = [replace(watch, floor=2) for watch in scene.books.watches]
    assert (await scene.tick()).rows == ()
    claims = [Claim(SHOP, paid), Claim(SHOP, failed), Claim(SECOND_SHOP, paid), Claim(SHOP, "0x" + "ab" * 32)]
    answers = [ClaimAnswer.BOOKED, ClaimAnswer.FAILED, ClaimAnswer.ELSEWHERE, ClaimAnswer.UNKNOWN]
    for fresh in (1, 0):
        scene.books.claims = list(claims)
        seen = await scene.tick()
        assert [seen.claims[claim] for claim in claims] == answers
        assert len(seen.rows) == fresh
    assert scene.books.disputes == {}
