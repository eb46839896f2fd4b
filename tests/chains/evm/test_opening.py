"""A seed that was used before: what its addresses did and held is where their books begin."""

from typing import Any

from eth_account import Account
from tests.chains.evm.scene import DEPTH, NATIVE, TETHER, USDT, Scene, scene
from tests.lab.stub import result

from paynode.chains.base import Outgoing
from paynode.domain.chain import Pair, RowKind, RowSource
from paynode.domain.money import Asset

KEY = bytes(31) + b"\x01"
OURS = Account.from_key(KEY).address
ETHER = 10**18


async def earlier_life(s: Scene) -> None:
    """Another data_dir of the same seed: coins and tokens came, and some went."""
    await s.lab.send_native(OURS, 3 * ETHER)
    await s.lab.transfer(s.usdt, OURS, 500)
    for nonce in range(2):
        planned = await s.chain.prepare(Outgoing(OURS, s.lab.accounts[9], s.assets[2], ETHER, False), nonce)
        signed = s.chain.sign(planned, KEY)
        await s.chain.broadcast(signed)
        await s.lab.receipt(signed.tx_hash)
    await s.lab.mine(5)


async def on_chain(s: Scene) -> int:
    return int(await s.lab.rpc("eth_getBalance", OURS, "latest"), 16)


def as_gas(s: Scene) -> None:
    s.keeper.watch(OURS, [USDT, TETHER, NATIVE], depth=DEPTH, floor=0)
    s.keeper.own_addresses.add(OURS)
    s.keeper.unopened.add(OURS)


async def test_a_gas_account_with_a_past_begins_with_what_is_there() -> None:
    async with scene(providers=2) as s:
        await earlier_life(s)
        as_gas(s)
        held = await on_chain(s)
        seen = await s.tick()
        assert seen.openings == {OURS: 2}
        assert {(row.kind, row.source, row.pair, row.units) for row in seen.rows} == {
            (RowKind.ADJUSTMENT, RowSource.DRIFT, Pair(OURS, NATIVE), held),
            (RowKind.ADJUSTMENT, RowSource.DRIFT, Pair(OURS, USDT), 500),
        }
        assert seen.checkpoint is not None
        await s.lab.send_native(OURS, 7)
        await s.settle(DEPTH + 1)
        assert (s.keeper.disputes, s.keeper.confirmed_units(OURS, NATIVE)) == ({}, held + 7)
        [(kind, source)] = {(r.kind, r.source) for r in s.rows(OURS, NATIVE) if r.units == 7}
        assert (kind, source) == (RowKind.IN, RowSource.TX)


async def test_an_opening_that_the_other_provider_tells_differently_is_none() -> None:
    async with scene(providers=2) as s:
        await earlier_life(s)
        as_gas(s)

        def another_past(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            return result(call, "0x1") if call["method"] == "eth_getTransactionCount" else answer

        s.liars[1].twist = another_past
        seen = await s.tick()
        assert (seen.openings, [row for row in seen.rows if row.kind is RowKind.ADJUSTMENT]) == ({}, [])


async def test_a_deposit_address_with_a_past_credits_what_comes_and_nothing_that_was_there() -> None:
    """Beside it is listed a token whose contract is none: it tells nothing, and delays nothing."""
    async with scene() as s:
        s.assets.append(Asset("lab", "none", 6, s.lab.accounts[8]))
        s.connect()
        await earlier_life(s)
        await s.tick()
        s.keeper.watch(OURS, [USDT, TETHER, NATIVE, "lab_none"], depth=DEPTH)
        s.keeper.own_addresses.add(OURS)
        await s.lab.send_native(OURS, 7)
        await s.lab.transfer(s.usdt, OURS, 20)
        await s.settle(3 * DEPTH)
        assert s.keeper.disputes.keys() <= {Pair(OURS, "lab_none")}
        credited = [(row.kind, row.units) for row in s.keeper.standing if row.kind is RowKind.IN and row.confirmed]
        assert sorted(credited) == [(RowKind.IN, 7), (RowKind.IN, 20)]


async def test_a_past_of_tokens_alone_holds_up_no_payment() -> None:
    """The coins match, so that nobody asks for the nonce, until the dispute of the token is as old as a row gets."""
    async with scene() as s:
        await earlier_life(s)
        await s.lab.set_balance(OURS, 0)
        await s.tick()
        s.keeper.watch(OURS, [USDT, NATIVE], depth=DEPTH)
        s.keeper.own_addresses.add(OURS)
        await s.lab.transfer(s.usdt, OURS, 20)
        await s.settle(4 * DEPTH)
        assert s.keeper.disputes == {}
        assert [row.units for row in s.keeper.confirmed(OURS, USDT) if row.kind is RowKind.IN] == [20]


async def test_what_a_stranger_sends_with_our_key_after_the_address_was_shown_is_no_past() -> None:
    async with scene() as s:
        await s.tick()
        s.keeper.watch(OURS, [USDT, NATIVE], depth=DEPTH)
        s.keeper.own_addresses.add(OURS)
        await earlier_life(s)
        seen = await s.tick()
        assert seen.openings == {}
        await s.settle(2 * DEPTH)
        assert Pair(OURS, NATIVE) in s.keeper.disputes
