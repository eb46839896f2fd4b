from dataclasses import replace

import pytest
from tests.chains.sim.scene import COIN, ETHER, GAS, KEYS, SHOP, TREASURY, USDT, Scene

from paynode.chains.base import Chain, Outgoing, ProviderState, Refused, SignedTx, TxStatus, Unavailable, WouldRevert
from paynode.chains.sim import keys

FEE = 21_000 * 10**9


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.world.fund(GAS, COIN.method, ETHER)
    return scene


async def test_it_is_a_chain_with_a_name_that_tells_about_itself(scene):
    chain: Chain = scene.chain
    assert (chain.network, await chain.head_number()) == ("sim", 1)
    assert await chain.connect() == "simulated in this process, at block 1"
    assert chain.parse_address(SHOP.upper()) == SHOP
    await chain.aclose()


async def test_what_is_broadcast_waits_in_the_mempool_and_is_mined(scene):
    signed = await scene.signed(GAS, TREASURY, COIN, 1000)
    assert await scene.chain.status(signed.tx_hash) is TxStatus.UNKNOWN
    await scene.chain.broadcast(signed)
    assert await scene.chain.status(signed.tx_hash) is TxStatus.PENDING
    assert await scene.chain.pending_nonce(GAS) == 1
    scene.world.mine()
    assert await scene.chain.status(signed.tx_hash) is TxStatus.MINED
    assert await scene.chain.balance_units(COIN, TREASURY) == 1000
    assert await scene.chain.balance_units(COIN, GAS) == ETHER - 1000 - FEE


async def test_broadcasting_again_is_success_before_and_after_it_is_mined(scene):
    signed = await scene.signed(GAS, TREASURY, COIN, 1000)
    for _ in range(2):
        await scene.chain.broadcast(signed)
    assert len(scene.world.mempool) == 1
    scene.world.mine()
    await scene.chain.broadcast(signed)
    assert scene.world.mempool == ()


async def test_the_same_bytes_are_taken_again_after_a_reorg_dropped_them(scene):
    signed = await scene.signed(GAS, TREASURY, COIN, 1000)
    await scene.chain.broadcast(signed)
    scene.world.mine()
    scene.world.reorg(1, keep=False)
    assert await scene.chain.status(signed.tx_hash) is TxStatus.UNKNOWN
    await scene.chain.broadcast(signed)
    scene.world.mine()
    assert await scene.chain.balance_units(COIN, TREASURY) == 1000


async def test_several_transactions_of_one_account_are_mined_in_the_order_of_their_nonces(scene):
    signed = []
    for units in (1, 2, 3):
        signed.append(await scene.signed(GAS, TREASURY, COIN, units))
        await scene.chain.broadcast(signed[-1])
    scene.world.mine()
    scene.world.reorg(1, keep=True, reordered=True)
    mined = [mined.tx.hash for block in scene.world.blocks_above(1) for mined in block.mined]
    assert mined == [each.tx_hash for each in signed]


async def test_a_transaction_ahead_of_its_nonce_waits_for_the_one_before(scene):
    wanted = Outgoing(GAS, TREASURY, COIN, 5, empties_sender=False)
    ahead, first = [scene.chain.sign(await scene.chain.prepare(wanted, nonce), KEYS[GAS]) for nonce in (1, 0)]
    await scene.chain.broadcast(ahead)
    scene.world.mine()
    assert (await scene.chain.status(ahead.tx_hash), await scene.chain.pending_nonce(GAS)) == (TxStatus.PENDING, 0)
    await scene.chain.broadcast(first)
    scene.world.mine()
    assert scene.world.nonce(GAS) == 2


async def test_a_bump_replaces_the_transaction_under_its_nonce_and_a_lower_fee_does_not(scene):
    planned = await scene.chain.prepare(Outgoing(GAS, TREASURY, COIN, 5, empties_sender=False), 0)
    bumped = await scene.chain.bump(planned)
    assert bumped.fee_limit_units * 8 >= planned.fee_limit_units * 9
    assert (bumped.nonce, bumped.value_units) == (planned.nonce, planned.value_units)
    before, after = scene.chain.sign(planned, KEYS[GAS]), scene.chain.sign(bumped, KEYS[GAS])
    await scene.chain.broadcast(before)
    await scene.chain.broadcast(after)
    with pytest.raises(Refused):
        await scene.chain.broadcast(before)
    scene.world.mine()
    assert await scene.chain.status(before.tx_hash) is TxStatus.UNKNOWN
    assert await scene.chain.status(after.tx_hash) is TxStatus.MINED
    with pytest.raises(Refused, match="nonce 0"):
        await scene.chain.broadcast(before)


async def test_a_transaction_whose_fee_fell_behind_is_stuck_until_it_is_bumped(scene):
    planned = await scene.chain.prepare(Outgoing(GAS, TREASURY, COIN, 5, empties_sender=False), 0)
    stuck = scene.chain.sign(planned, KEYS[GAS])
    await scene.chain.broadcast(stuck)
    scene.world.gas_price *= 10
    scene.world.mine()
    assert await scene.chain.status(stuck.tx_hash) is TxStatus.PENDING
    bumped = await scene.chain.bump(planned)
    assert bumped.fee_limit_units == (await scene.chain.fees(COIN, GAS, TREASURY)).transfer_cost == FEE * 10
    await scene.chain.broadcast(scene.chain.sign(bumped, KEYS[GAS]))
    scene.world.mine()
    assert scene.world.units(TREASURY, COIN.method) == 5


async def test_a_fee_below_the_going_one_is_refused(scene):
    planned = await scene.chain.prepare(Outgoing(GAS, TREASURY, COIN, 5, empties_sender=False), 0)
    scene.world.gas_price += 1
    with pytest.raises(Refused, match="below the going"):
        await scene.chain.broadcast(scene.chain.sign(planned, KEYS[GAS]))


async def test_emptying_an_account_leaves_nothing_at_any_fee(scene):
    wanted = Outgoing(GAS, TREASURY, COIN, ETHER, empties_sender=True)
    planned = await scene.chain.prepare(wanted, 0)
    assert planned.value_units + planned.fee_limit_units == ETHER
    bumped = await scene.chain.bump(planned)
    assert bumped.value_units + bumped.fee_limit_units == ETHER
    await scene.chain.broadcast(scene.chain.sign(bumped, KEYS[GAS]))
    scene.world.mine()
    assert scene.world.units(GAS, COIN.method) == 0


async def test_what_would_fail_or_be_eaten_by_its_fee_is_not_planned(scene):
    for wanted in (
        Outgoing(GAS, TREASURY, USDT, 1, empties_sender=False),
        Outgoing(GAS, TREASURY, COIN, ETHER, empties_sender=False),
        Outgoing(GAS, TREASURY, COIN, FEE, empties_sender=True),
    ):
        with pytest.raises(WouldRevert):
            await scene.chain.prepare(wanted, 0)
    planned = await scene.chain.prepare(Outgoing(GAS, TREASURY, COIN, FEE + 1, empties_sender=True), 0)
    with pytest.raises(WouldRevert):
        await scene.chain.bump(planned)


async def test_tokens_without_coins_for_the_fee_are_refused_until_the_sender_is_funded(scene):
    scene.world.fund(SHOP, USDT.method, 50)
    signed = await scene.signed(SHOP, TREASURY, USDT, 50)
    with pytest.raises(Refused, match="cannot pay"):
        await scene.chain.broadcast(signed)
    scene.world.fund(SHOP, COIN.method, FEE)
    await scene.chain.broadcast(signed)
    scene.world.mine()
    assert scene.world.units(TREASURY, USDT.method) == 50


async def test_a_wrong_key_and_changed_bytes_are_refused(scene):
    planned = await scene.chain.prepare(Outgoing(GAS, TREASURY, COIN, 5, empties_sender=False), 0)
    with pytest.raises(Refused, match="not signed by"):
        await scene.chain.broadcast(scene.chain.sign(planned, keys.private_key("another")))
    signed = scene.chain.sign(planned, KEYS[GAS])
    changed = signed.raw.replace(TREASURY.encode(), SHOP.encode())
    for raw in (changed, b"", b"{}", signed.raw[:-1]):
        with pytest.raises(Refused):
            await scene.chain.broadcast(SignedTx(raw, signed.tx_hash))
    assert scene.world.mempool == ()


async def test_signing_is_deterministic_and_keeps_the_key_to_itself(scene):
    planned = await scene.chain.prepare(Outgoing(GAS, TREASURY, COIN, 5, empties_sender=False), 0)
    signed = scene.chain.sign(planned, KEYS[GAS])
    assert signed == scene.chain.sign(planned, KEYS[GAS])
    assert signed.tx_hash != scene.chain.sign(replace(planned, body=planned.body + " "), KEYS[GAS]).tx_hash
    assert KEYS[GAS].hex() not in signed.raw.decode()


async def test_in_an_outage_every_question_is_unavailable_and_the_chain_goes_on(scene):
    chain, wanted = scene.chain, Outgoing(GAS, TREASURY, COIN, 5, empties_sender=False)
    planned = await chain.prepare(wanted, 0)
    signed = chain.sign(planned, KEYS[GAS])
    scene.world.outage = True
    questions = [
        chain.connect,
        chain.head_number,
        lambda: chain.observe(scene.books.books()),
        lambda: chain.fees(COIN, GAS, TREASURY),
        lambda: chain.balance_units(COIN, GAS),
        lambda: chain.pending_nonce(GAS),
        lambda: chain.prepare(wanted, 0),
        lambda: chain.bump(planned),
        lambda: chain.broadcast(signed),
        lambda: chain.status(signed.tx_hash),
    ]
    for question in questions:
        with pytest.raises(Unavailable):
            await question()
    [health] = chain.providers()
    assert (health.state, health.reason) == (ProviderState.FAILING, "the simulated network has an outage")
    scene.world.pay(SHOP, USDT.method, 5)
    scene.world.mine()
    scene.world.outage = False
    [health] = chain.providers()
    assert (health.state, health.head_number) == (ProviderState.OK, scene.world.head.number)
    assert [row.units for row in (await scene.tick()).rows if row.address == SHOP] == [5]
