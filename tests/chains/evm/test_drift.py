"""Tokens whose balance falls without a transfer: what arrived is credited, what is gone is adjusted."""

from typing import Any

from tests.chains.evm.fakechain import Payment
from tests.chains.evm.fakescene import CONTRACT, FakeScene
from tests.chains.evm.fakescene import DEPTH as FAKE_DEPTH
from tests.chains.evm.scene import DEPTH, NATIVE, USDT, Scene, honest, scene
from tests.lab.stub import result

from paynode.domain.chain import Pair, RowKind, RowSource

ISSUED, GROSS = "lab_issued", "lab_gross"
Call = dict[str, Any]


async def grow_old(s: Scene) -> None:
    """Long enough for a single provider: a dispute of twice the depth, and an adjustment at depth."""
    await s.settle(3 * DEPTH + 1)


async def test_of_a_token_that_takes_a_fee_what_arrived_is_credited_and_nothing_is_adjusted() -> None:
    async with scene() as s:
        gross = await s.lab.deploy("GrossFeeToken")
        a, b = await s.shop(2, [USDT, s.list_token("gross", gross)])
        await s.lab.transfer(gross, a, 10_000)
        await s.lab.transfer(gross, a, 500)
        await s.lab.transfer(s.usdt, b, 5)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, GROSS) == 0
        assert s.keeper.confirmed_units(b, USDT) == 5
        await grow_old(s)
        assert [(row.units, row.credit) for row in s.keeper.confirmed(a, GROSS)] == [(10_000, 9_900), (500, 495)]
        assert not s.keeper.disputes
        assert {row.kind for row in s.rows(a, GROSS)} == {RowKind.IN}


async def test_two_transfers_in_one_block_share_the_fee() -> None:
    async with scene() as s:
        gross, batch = await s.lab.deploy("GrossFeeToken"), await s.lab.deploy("Batch")
        (a,) = await s.shop(1, [s.list_token("gross", gross)])
        await s.lab.pay_many(batch, gross, [(a, 1000), (a, 3000)])
        await s.tick()
        await grow_old(s)
        assert [row.credit for row in s.keeper.confirmed(a, GROSS)] == [990, 2970]


async def test_a_deposit_that_is_partly_wiped_in_the_block_of_its_arrival_credits_what_is_left() -> None:
    async with scene() as s:
        issued = await s.lab.deploy("Issued")
        (a,) = await s.shop(1, [s.list_token("issued", issued)])
        await s.lab.rpc("evm_setAutomine", False)
        await s.lab.transfer(issued, a, 70, is_waiting=False)
        await s.lab.invoke(issued, "wipePart", a, 60, is_waiting=False)
        await s.lab.mine()
        # An empty pair looks like its books: only what is left of the deposit gives it away here.
        await s.tick()
        await grow_old(s)
        (row,) = s.keeper.confirmed(a, ISSUED)
        assert (row.units, row.credit) == (70, 10)


async def test_confirmed_funds_that_the_issuer_takes_become_an_adjustment_and_later_deposits_are_credited() -> None:
    async with scene(providers=2) as s:
        issued = await s.lab.deploy("Issued")
        (a,) = await s.shop(1, [s.list_token("issued", issued)])
        await s.lab.transfer(issued, a, 70)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, ISSUED) == 70
        await s.lab.invoke(issued, "wipe", a)
        await s.tick()
        assert s.keeper.disputes.keys() == {Pair(a, ISSUED)}
        assert len(s.keeper.standing) == 1
        await s.settle(3 * DEPTH)
        drift = s.rows(a, ISSUED)[-1]
        assert (drift.kind, drift.source, drift.units) == (RowKind.ADJUSTMENT, RowSource.DRIFT, -70)
        assert drift.confirmed
        assert not s.keeper.disputes
        await s.lab.transfer(issued, a, 30)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, ISSUED) == 30
        assert len(s.rows(a, ISSUED)) == 3


async def test_a_deposit_as_large_as_what_was_wiped_is_credited() -> None:
    async with scene() as s:
        issued = await s.lab.deploy("Issued")
        (a,) = await s.shop(1, [s.list_token("issued", issued)])
        await s.lab.transfer(issued, a, 70)
        await s.tick()
        await s.settle()
        await s.lab.invoke(issued, "wipe", a)
        await s.tick()
        await grow_old(s)
        assert s.keeper.confirmed_units(a, ISSUED) == 0
        await s.lab.transfer(issued, a, 70)
        await s.tick()
        await s.settle()
        assert [row.units for row in s.keeper.confirmed(a, ISSUED)] == [70, -70, 70]


async def test_a_fall_that_the_other_provider_does_not_see_is_not_adjusted() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 70)
        await s.tick()
        await s.settle()

        def poorer(call: Call, answer: Call) -> Call:
            if call["method"] != "eth_call" or len(answer["result"]) < 66 * 7:
                return answer
            return result(call, answer["result"].replace(f"{70:064x}", f"{0:064x}"))

        s.liars[0].twist = poorer
        await s.tick()
        await grow_old(s)
        assert s.keeper.disputes.keys() == {Pair(a, USDT)}
        assert len(s.keeper.rows) == 1
        s.liars[0].twist = honest
        await s.tick()
        assert not s.keeper.disputes


async def test_a_log_that_comes_late_cancels_the_adjustment() -> None:
    async with scene(providers=1) as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 70)
        await s.tick()
        await s.settle()

        def forgetful(call: Call, answer: Call) -> Call:
            return result(call, []) if call["method"] == "eth_getLogs" else answer

        s.liars[0].twist = forgetful
        await s.lab.rpc("anvil_impersonateAccount", a)
        await s.lab.set_balance(a, 10**18)
        await s.lab.transfer(s.usdt, s.lab.faucet, 50, sender=a, gas=100_000)
        await s.lab.rpc("anvil_setBalance", a, "0x0")
        await s.tick()
        await grow_old(s)
        assert [(row.kind, row.units, row.confirmed) for row in s.rows(a, USDT)] == [
            (RowKind.IN, 70, True),
            (RowKind.ADJUSTMENT, -50, True),
        ]
        s.liars[0].twist = honest
        s.liars[0].forget()
        await s.settle(2)
        assert "eth_getLogs" not in s.liars[0].methods
        await s.lab.rpc("evm_increaseTime", 3600)
        await s.settle()
        assert [(row.kind, row.units, row.confirmed) for row in s.rows(a, USDT)] == [
            (RowKind.IN, 70, True),
            (RowKind.OUT, 50, True),
        ]


async def test_a_rise_is_never_adjusted_away() -> None:
    async with scene() as s:
        issued = await s.lab.deploy("Issued")
        (a,) = await s.shop(1, [s.list_token("issued", issued), NATIVE])
        await s.lab.invoke(issued, "rebase", a, 5)
        await s.lab.set_balance(a, 7)
        await s.lab.mine()
        await s.tick()
        await grow_old(s)
        assert Pair(a, ISSUED) in s.keeper.disputes
        assert RowSource.DRIFT not in {row.source for row in s.keeper.standing}


async def test_where_the_state_is_gone_the_newest_deposits_bear_what_is_missing() -> None:
    async with scene(providers=1) as s:
        gross = await s.lab.deploy("GrossFeeToken")
        (a,) = await s.shop(1, [s.list_token("gross", gross)])
        await s.lab.transfer(gross, a, 10_000)
        await s.tick()

        def pruned(call: Call, answer: Call) -> Call:
            is_old = call["method"] == "eth_call" and isinstance(call["params"][1], str)
            return (
                {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32000, "message": "missing trie node"}}
                if (is_old)
                else answer
            )

        s.liars[0].twist = pruned
        await grow_old(s)
        assert [row.credit for row in s.keeper.confirmed(a, GROSS)] == [9_900]


async def test_an_adjustment_whose_state_is_gone_waits_for_a_provider_that_is_a_block_behind() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    s.mine(1, s.pays(a, 70))
    await s.tick()
    s.mine(FAKE_DEPTH)
    await s.tick()
    s.mine(1, Payment(a, 0, CONTRACT, wiped=((CONTRACT, a, 70),)))
    while not any(row.source is RowSource.DRIFT for row in s.keeper.standing):
        await s.tick()
        s.mine()
    for view in s.views:
        view.lies.add("pruned")
    s.mine(2 * FAKE_DEPTH)
    s.views[1].chain = s.chain.fork()
    s.mine()
    await s.tick()
    assert [row.confirmed for row in s.keeper.standing] == [True, False]
    s.views[1].chain = s.chain
    await s.tick()
    assert [row.confirmed for row in s.keeper.standing] == [True, True]
