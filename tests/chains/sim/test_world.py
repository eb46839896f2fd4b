from datetime import timedelta

import pytest
from tests.chains.sim.scene import COIN, ETHER, GAS, SECOND_SHOP, SHOP, USDT, Clock

from paynode.chains.sim.world import BLOCKS_KEPT, World


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock) -> World:
    return World(COIN.method, clock)


def test_a_payment_waits_for_a_block(world):
    tx_hash = world.pay(SHOP, USDT.method, 5)
    assert (world.units(SHOP, USDT.method), world.find(tx_hash)) == (0, None)
    head = world.mine()
    block, mined = world.find(tx_hash)
    assert (block.ref, mined.succeeded, world.units(SHOP, USDT.method)) == (head, True, 5)
    assert world.mempool == ()


def test_several_payments_in_one_transaction_happen_together(world):
    tx_hash = world.pay_many([(SHOP, USDT.method, 5), (SECOND_SHOP, COIN.method, 6), (SHOP, USDT.method, 7)])
    world.mine()
    assert len(world.find(tx_hash)[1].tx.moves) == 3
    assert (world.units(SHOP, USDT.method), world.units(SECOND_SHOP, COIN.method)) == (12, 6)


def test_a_payment_that_reverts_is_mined_and_brings_nothing(world):
    tx_hash = world.pay(SHOP, COIN.method, 5, reverts=True)
    world.mine()
    assert not world.find(tx_hash)[1].succeeded
    assert world.units(SHOP, COIN.method) == 0


@pytest.mark.parametrize("payments", [[], [(SHOP, COIN.method, 0)], [("0x12", COIN.method, 1)]])
def test_what_pays_nothing_or_nobody_is_refused(world, payments):
    with pytest.raises(ValueError):
        world.pay_many(payments)
    assert world.mempool == ()


def test_the_faucet_pays_at_once(world):
    world.fund(GAS, COIN.method, ETHER)
    assert (world.units(GAS, COIN.method), world.head.number) == (ETHER, 1)


def test_blocks_are_chained_and_dated_by_the_clock(world, clock):
    clock.advance(10)
    first = world.mine()
    clock.advance(10)
    second = world.mine()
    assert [(block.number, block.parent_hash) for block in world.blocks_above(1)] == [(2, first.hash)]
    assert (first.at, second.at) == (clock() - timedelta(seconds=10), clock())


def test_a_block_may_be_dated_by_hand_but_never_before_its_parent(world, clock):
    late = world.mine(at=clock() + timedelta(hours=1))
    assert late.at == clock() + timedelta(hours=1)
    assert world.mine().at == late.at


def test_the_same_things_in_the_same_order_give_the_same_hashes():
    def story(seed: str) -> list[str]:
        world = World(COIN.method, Clock(), seed=seed)
        return [world.pay(SHOP, USDT.method, 5), world.mine(3).hash, world.reorg(2, keep=True).hash]

    assert story("a") == story("a")
    assert set(story("a")).isdisjoint(story("b"))


def test_a_reorg_replaces_blocks_by_one_more_and_forgets_their_transactions(world):
    world.mine(4)
    tx_hash = world.pay(SHOP, USDT.method, 5)
    old = world.mine(2)
    new = world.reorg(2, keep=False)
    assert new.number == old.number + 1
    assert not world.is_canonical(old)
    assert world.is_canonical(new)
    assert (world.find(tx_hash), world.units(SHOP, USDT.method), world.mempool) == (None, 0, ())


def test_a_reorg_may_mine_again_what_it_dropped_in_another_order(world):
    first, second = world.pay(SHOP, USDT.method, 5), world.pay(SHOP, USDT.method, 6)
    old = world.mine()
    world.reorg(1, keep=True, reordered=True)
    (block,) = [block for block in world.blocks_above(0) if block.mined]
    assert [mined.tx.hash for mined in block.mined] == [second, first]
    assert (block.number, world.units(SHOP, USDT.method)) == (old.number + 1, 11)


def test_a_reorg_keeps_only_what_it_is_told(world):
    kept, dropped = world.pay(SHOP, USDT.method, 5), world.pay(SHOP, USDT.method, 6)
    world.mine()
    world.reorg(1, keep={kept})
    assert (world.find(dropped), world.units(SHOP, USDT.method)) == (None, 5)


def test_a_reorg_below_the_first_block_is_refused(world):
    world.mine(2)
    for depth in (0, 3):
        with pytest.raises(ValueError, match="Between 1 and 2 blocks"):
            world.reorg(depth, keep=True)


def test_only_so_many_blocks_are_made_at_once(world):
    for count in (0, 1_001):
        with pytest.raises(ValueError, match="Between 1 and 1000 blocks"):
            world.mine(count)


def test_old_blocks_are_forgotten_and_stay_final_and_nobody_loses_money(world):
    tx_hash = world.pay(SHOP, USDT.method, 5)
    first = world.mine()
    for _ in range(BLOCKS_KEPT // 1_000):
        world.mine(1_000)
    assert len(list(world.blocks_above(-1))) == BLOCKS_KEPT
    assert world.oldest_number == 2
    assert world.find(tx_hash) is None
    assert world.is_canonical(first)
    assert world.units(SHOP, USDT.method) == 5
