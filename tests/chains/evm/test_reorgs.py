"""Reorganisations and doubtful views: rows go void by their own block, and nothing is credited twice."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.chains.evm.fakescene import DEPTH as FAKE_DEPTH
from tests.chains.evm.fakescene import FakeScene
from tests.chains.evm.scene import DEPTH, NATIVE, USDT, Scene, scene
from tests.lab.stub import result

from paynode.chains.base import DeepReorg, ProviderState, Unavailable
from paynode.chains.evm import doubts
from paynode.chains.evm.ground import Behind
from paynode.domain.chain import Pair


async def raw_transfer(s: Scene, to: str, units: int) -> tuple[str, Any]:
    """A deposit of tokens and the bytes that would bring it again."""
    receipt = await s.lab.transfer(s.usdt, to, units)
    raw = await s.lab.rpc("eth_getRawTransactionByHash", receipt["transactionHash"])
    return raw, receipt


async def test_a_deposit_that_is_reorganised_away_goes_void_and_the_cursor_goes_back() -> None:
    async with scene() as s:
        a, b = await s.shop(2)
        await s.lab.mine(3)
        await s.tick()
        before = s.keeper.checkpoints[0]
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.send_native(b, 6)
        await s.tick()
        assert len(s.keeper.standing) == 2
        await s.lab.reorg(2)
        seen = await s.tick()
        assert seen.fork_number == before.number
        assert not s.keeper.standing
        assert not seen.disputes
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == s.keeper.confirmed_units(b, NATIVE) == 0


async def test_a_deposit_paid_again_after_a_reorg_is_credited_once() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        await s.lab.reorg(1)
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        await s.settle()
        assert [row.units for row in s.keeper.confirmed(a, USDT)] == [5]


async def test_the_same_transaction_in_another_block_under_another_log_index_is_credited_once() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        raw, first = await raw_transfer(s, a, 5)
        await s.tick()
        stranger = await s.lab.transfer(s.usdt, s.lab.faucet, 0, sender=s.lab.accounts[3])
        other = await s.lab.rpc("eth_getRawTransactionByHash", stranger["transactionHash"])
        await s.lab.reorg(2, [(other, 1), (raw, 1)])
        moved = await s.lab.receipt(first["transactionHash"])
        assert moved["blockHash"] != first["blockHash"]
        assert moved["logs"][0]["logIndex"] != first["logs"][0]["logIndex"]
        await s.tick()
        await s.settle()
        (row,) = s.keeper.confirmed(a, USDT)
        assert (row.units, row.block.hash, row.log_index) == (5, moved["blockHash"], 1)


async def test_a_deposit_below_the_fork_keeps_its_row() -> None:
    async with scene() as s:
        a, b = await s.shop(2)
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.mine(4)
        await s.lab.transfer(s.usdt, b, 6)
        await s.tick()
        await s.lab.reorg(3)
        seen = await s.tick()
        assert [s.keeper.rows[id_].address for id_ in seen.voided] == [b]
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_an_address_shown_on_the_old_fork_is_paid_on_the_new_one_at_a_lower_height() -> None:
    async with scene() as s:
        await s.tick()
        await s.lab.mine(8)
        await s.tick()
        a, b = await s.shop(2)
        await s.lab.reorg(8)
        # Anvil rebuilds all eight blocks; going back and paying at once makes the lower height.
        await s.lab.rpc("anvil_rollback", 6)
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.send_native(b, 6)
        await s.lab.mine(8)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 5
        assert s.keeper.confirmed_units(b, NATIVE) == 6


async def test_a_stale_head_on_the_same_chain_decides_nothing() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.mine(5)
        await s.tick()
        await s.lab.rpc("anvil_rollback", 2)
        with pytest.raises(Unavailable, match="below block"):
            await s.tick()
        assert len(s.keeper.standing) == 1
        await s.lab.mine(4)
        assert (await s.tick()).checkpoint is not None


async def test_a_provider_that_is_behind_is_passed_over() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        old = await s.lab.block()
        await s.lab.mine(4)
        await s.tick()
        await s.lab.transfer(s.usdt, a, 5)

        def stale(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            return result(call, old) if call["params"][:1] == ["latest"] else answer

        s.liars[0].twist = stale
        seen = await s.tick()
        assert [row.units for row in seen.rows] == [5]


async def test_a_cursor_that_no_provider_has_reached_for_long_is_fallen_back_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        made_up = replace(s.keeper.checkpoints[0], number=1 << 50, hash="0x" + "66" * 32)
        s.keeper.checkpoints.insert(0, made_up)
        await s.lab.transfer(s.usdt, a, 5)
        with pytest.raises(Unavailable, match="below block"):
            await s.tick()
        monkeypatch.setattr(doubts, "BEHIND_SECONDS", -1)
        await s.tick()
        assert made_up not in s.keeper.checkpoints
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_what_was_seen_above_such_a_cursor_goes_void_and_what_is_below_is_found() -> None:
    s = FakeScene(clock_ahead=timedelta(days=1))
    a, b = await s.shop(2)
    made_up = s.chain.fork()
    for _ in range(3):
        made_up.mine([s.pays(a, 10**6)])
        for _ in range(300):
            made_up.mine()
        s.views[0].chain = made_up
        await s.tick()
    s.views[0].chain = s.chain
    s.mine(1, s.pays(b, 5))
    with pytest.raises(Behind):
        await s.tick()
    s.memory.is_cursor_doubted = True
    await s.tick()
    s.memory.is_cursor_doubted = False
    for _ in range(2 * FAKE_DEPTH):
        s.mine()
        await s.tick()
    assert [(row.address, row.units, row.confirmed) for row in s.keeper.standing] == [(b, 5, True)]
    assert not s.keeper.disputes


async def test_a_single_provider_behind_the_cursor_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "BEHIND_SECONDS", -1)
    async with scene(providers=1) as s:
        await s.shop()
        s.keeper.checkpoints.insert(0, replace(s.keeper.checkpoints[0], number=1 << 50, hash="0x" + "66" * 32))
        for _ in range(3):
            with pytest.raises(Unavailable, match="below block"):
                await s.tick()


async def test_a_provider_whose_head_stands_still_is_left_for_one_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "STUCK_SECONDS", -1)
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        frozen = await s.lab.block()
        await s.lab.transfer(s.usdt, a, 5)
        await s.lab.mine(4)
        s.liars[0].twist = lambda call, answer: result(call, frozen) if call["params"][:1] == ["latest"] else answer
        await s.tick()  # the same head as when the address was shown
        assert s.pool.all[0].is_resting
        assert [row.units for row in (await s.tick()).rows] == [5]


async def test_a_witness_whose_head_stands_still_delays_payments_and_does_not_stop_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doubts, "STUCK_SECONDS", -1)
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        frozen = await s.lab.block()

        def standing_still(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            if call["method"] != "eth_getBlockByNumber":
                return answer
            if call["params"][0] == "latest":
                return result(call, frozen)
            return result(call, None) if int(call["params"][0], 16) > int(frozen["number"], 16) else answer

        s.liars[1].twist = standing_still
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        await s.settle(DEPTH + 1)
        assert s.pool.all[1].is_resting
        assert s.keeper.confirmed_units(a, USDT) == 0
        await s.settle(DEPTH)
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_what_one_witness_never_proves_another_one_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "STUCK_SECONDS", -1)
    async with scene(providers=3) as s:
        (a,) = await s.shop()

        def without_receipts(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            return result(call, None) if call["method"] == "eth_getTransactionReceipt" else answer

        s.liars[1].twist = without_receipts
        await s.lab.transfer(s.usdt, a, 5)
        await s.settle(DEPTH + 3)
        assert s.keeper.confirmed_units(a, USDT) == 5
        assert not s.pool.all[1].is_resting


async def test_what_nobody_else_ever_proves_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "UNPROVEN_SECONDS", -1)
    async with scene(providers=2) as s:
        (a,) = await s.shop()

        def without_receipts(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            return result(call, None) if call["method"] == "eth_getTransactionReceipt" else answer

        s.liars[1].twist = without_receipts
        await s.lab.transfer(s.usdt, a, 5)
        assert (await s.tick()).trouble is None
        await s.settle(DEPTH)
        seen = await s.tick()
        assert seen.trouble is not None
        assert "does not prove 5 units of lab_usdt in block" in seen.trouble
        assert seen.hold is None
        s.liars[1].twist = lambda call, answer: answer
        assert (await s.tick()).trouble is None
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_a_witness_that_only_lags_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "STUCK_SECONDS", -1)
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        frozen = int((await s.lab.block())["number"], 16)
        heads = iter(range(frozen, frozen + 1000))

        def lagging(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            if call["method"] != "eth_getBlockByNumber":
                return answer
            if call["params"][0] == "latest":
                return result(call, answer["result"] | {"number": hex(next(heads))})
            return result(call, None) if int(call["params"][0], 16) > frozen else answer

        s.liars[1].twist = lagging
        await s.lab.transfer(s.usdt, a, 5)
        await s.settle(4 * DEPTH)
        assert s.keeper.confirmed_units(a, USDT) == 0
        assert not s.pool.all[1].is_resting


async def follow_past_something_final(s: Scene) -> None:
    """Ten blocks above a payment of 5, with a horizon of 5."""
    s.keeper.horizon = 5
    (a,) = await s.shop()
    await s.lab.transfer(s.usdt, a, 5)
    for _ in range(10):
        await s.lab.mine()
        await s.tick()
    assert s.keeper.confirmed_units(a, USDT) == 5


async def test_a_reorg_below_the_horizon_stops_the_network() -> None:
    async with scene() as s:
        await follow_past_something_final(s)
        await s.lab.reorg(12)
        for _ in range(2):  # one bad look is no reason
            with pytest.raises(Unavailable):
                await s.tick()
        await s.lab.mine()
        with pytest.raises(DeepReorg):
            await s.tick()


async def test_a_reorg_below_the_horizon_that_takes_nothing_final_is_followed() -> None:
    async with scene() as s:
        await follow_past_something_final(s)
        (a, *_) = s.addresses
        await s.lab.reorg(8)
        seen = await s.tick()
        assert seen.fork_number is not None
        assert seen.checkpoint is not None
        await s.lab.transfer(s.usdt, a, 7)
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 12


def forked(s: Scene) -> Any:
    """The blocks that calls remember are others, the head's own parent excepted."""

    def twist(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        text = answer["result"]
        if call["method"] != "eth_call" or len(text) < 66 * 6:
            return answer
        ours = {checkpoint.hash[2:] for checkpoint in s.keeper.checkpoints}
        words = [text[at : at + 64] for at in range(2, len(text), 64)]
        words[6:] = ["ab" * 32 if word in ours else word for word in words[6:]]
        return result(call, "0x" + "".join(words))

    return twist


async def test_what_two_providers_erred_in_long_apart_does_not_stop_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scene(providers=2) as s:
        s.keeper.horizon = 5
        for _ in range(10):
            await s.lab.mine()
            await s.tick()
        s.liars[0].twist = forked(s)
        await s.lab.mine()
        await s.tick()
        monkeypatch.setattr(doubts, "AGREED_SECONDS", 0)
        s.liars[1].twist = forked(s)
        await s.lab.mine()
        with pytest.raises(Unavailable):
            await s.tick()


async def test_one_provider_on_another_fork_does_not_stop_the_network() -> None:
    async with scene(providers=2) as s:
        s.keeper.horizon = 5
        for _ in range(10):
            await s.lab.mine()
            await s.tick()
        s.liars[0].twist = forked(s)
        await s.lab.mine()
        seen = await s.tick()
        assert seen.checkpoint is not None
        assert seen.fork_number is None
        assert "eth_getBlockByNumber" in s.liars[0].methods
        refused, good = s.chain.providers()
        assert "not the chain that we followed" in (refused.reason or "")
        assert (refused.state, good.state) == (ProviderState.FAILING, ProviderState.OK)
        s.liars[1].twist = forked(s)
        await s.lab.mine()
        with pytest.raises(DeepReorg):
            await s.tick()


async def test_a_provider_of_another_chain_does_not_stop_the_network_while_the_right_one_rests() -> None:
    async with scene(providers=2) as s:
        await follow_past_something_final(s)
        await s.lab.reorg(12)
        s.pool.all[1].degrade("bad gateway")
        with pytest.raises(Unavailable):
            await s.tick()


async def test_a_confirmed_deposit_goes_void_only_when_it_is_gone_at_two_heads() -> None:
    async with scene() as s:
        (a,) = await s.shop()
        await s.lab.mine(2)
        await s.tick()
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 5
        await s.lab.reorg(DEPTH + 1)
        seen = await s.tick()
        assert seen.hold is not None
        assert seen.checkpoint is None
        assert s.keeper.reversed_ids == []
        await s.lab.mine()
        seen = await s.tick()
        assert seen.hold is None
        assert len(s.keeper.reversed_ids) == 1
        assert not s.keeper.disputes
        assert s.keeper.confirmed_units(a, USDT) == 0


async def test_a_confirmed_deposit_that_another_provider_still_has_is_held_not_reversed() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await s.lab.mine(2)
        await s.tick()
        receipt = await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        await s.settle()
        block = await s.lab.block(int(receipt["blockNumber"], 16))
        await s.lab.reorg(DEPTH + 1)

        def loyal(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            return result(call, block) if call["params"][:1] == [block["number"]] else answer

        s.liars[1].twist = loyal
        for _ in range(3):
            seen = await s.tick()
            assert seen.hold is not None
            await s.lab.mine()
        assert s.keeper.reversed_ids == []
        s.liars[1].twist = lambda call, answer: answer
        seen = await s.tick()
        assert len(s.keeper.reversed_ids) == 1
        assert seen.hold is None


async def test_an_old_fork_in_the_log_index_brings_no_row() -> None:
    async with scene(providers=1) as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        logs = await s.lab.rpc("eth_getLogs", {"address": s.usdt.address, "fromBlock": "latest"})
        await s.lab.reorg(1)
        await s.lab.transfer(s.usdt, a, 5)

        def old_index(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            return result(call, logs) if call["method"] == "eth_getLogs" else answer

        s.liars[0].twist = old_index
        seen = await s.tick()
        assert not seen.rows
        assert seen.disputes.keys() == {Pair(a, USDT)}
        s.liars[0].twist = lambda call, answer: answer
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 5


async def test_a_row_of_another_fork_that_no_look_can_tell_goes_void_before_it_is_confirmed() -> None:
    async with scene(providers=2) as s:
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        await s.settle(1)
        # As two backends on two forks would have left it; the horizon is too near for the look to ask.
        (row,) = s.keeper.standing
        s.keeper.rows[1] = replace(row, block=replace(row.block, hash="0x" + "ab" * 32))
        s.keeper.horizon = 1
        for _ in range(DEPTH):
            await s.lab.mine()
            await s.tick()
        assert s.keeper.void == {1}
        assert s.keeper.hold is None
        await s.settle(2)
        (row,) = s.keeper.confirmed(a, USDT)
        assert row.units == 5
