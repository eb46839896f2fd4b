"""B5: a provider of another network with our chain id is refused with a clear reason, and the others go on."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.chains.evm.scene import USDT, scene
from tests.lab.stub import error, result

from paynode.chains.base import ProviderState, Unavailable
from paynode.chains.evm.pinning import pins_of
from paynode.chains.identity import Pin
from paynode.domain.chain import BlockRef

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
THEIRS = "0x" + "0b" * 32


def block(number: int) -> BlockRef:
    return BlockRef(number, f"0x{number:064x}", NOON)


def with_another(number: str) -> Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]:
    """A provider of a network that has another block there."""

    def twist(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["params"][:1] == [number]:
            return result(call, {**answer["result"], "hash": THEIRS})
        return answer

    return twist


def test_pins_are_the_oldest_checkpoint_and_the_newest_that_no_reorg_reaches() -> None:
    checkpoints = [block(number) for number in (200, 150, 136, 100, 7)]
    assert pins_of(checkpoints, 64) == (Pin(7, block(7).hash), Pin(136, block(136).hash))
    assert pins_of(checkpoints[:2], 64) == ()
    assert pins_of((), 64) == ()


async def test_b5_at_first_sight_the_majority_tells_our_network_and_the_others_go_on() -> None:
    async with scene(providers=3) as s:
        s.liars[0].twist = with_another("0x0")
        (a,) = await s.shop()
        await s.lab.transfer(s.usdt, a, 5)
        await s.tick()
        await s.settle()
        assert s.keeper.confirmed_units(a, USDT) == 5
        refused, *good = s.chain.providers()
        assert refused.state is ProviderState.FAILING
        assert "serves another network of chain id 31337: its block 0 is 0x0b0b0b0b" in (refused.reason or "")
        assert refused.usage.lies == 1
        assert [provider.state for provider in good] == [ProviderState.OK, ProviderState.OK]
        assert "eth_call" not in s.liars[0].methods


async def test_b5_of_two_that_tell_of_different_networks_neither_is_believed() -> None:
    async with scene(providers=2) as s:
        s.liars[1].twist = with_another("0x0")
        with pytest.raises(Unavailable, match=r"serve different networks, by block 0 \(liar0: 0x.*; liar1: 0x0b0b"):
            await s.tick()
        s.liars[1].twist = lambda call, answer: answer
        assert (await s.tick()).checkpoint is not None


async def test_b5_after_a_restart_the_oldest_checkpoint_tells_our_network() -> None:
    async with scene(providers=2) as s:
        s.keeper.horizon = 5
        for _ in range(7):
            await s.lab.mine()
            await s.tick()
        oldest = s.keeper.checkpoints[-1]
        s.liars[0].twist = with_another(hex(oldest.number))
        s.pool.identity.pins = ()  # as after a restart
        for provider in s.pool.all:
            provider.degrade("to be asked anew", rest_seconds=0)
        await s.lab.mine()
        assert (await s.tick()).checkpoint is not None
        refused, good = s.chain.providers()
        assert f"its block {oldest.number} is 0x0b0b0b0b" in (refused.reason or "")
        assert good.state is ProviderState.OK


async def test_one_that_has_thrown_old_blocks_away_is_known_by_a_newer_one() -> None:
    async with scene(providers=1) as s:
        s.keeper.horizon = 5
        for _ in range(9):
            await s.lab.mine()
            await s.tick()
        oldest = s.keeper.checkpoints[-1]

        def pruned(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
            is_old = call["params"][:1] == [hex(oldest.number)]
            return error(call, -32000, "pruned history unavailable") if is_old else answer

        s.pool.identity.pins = ()  # as after a restart
        s.liars[0].twist = pruned
        s.pool.all[0].degrade("to be asked anew", rest_seconds=0)
        assert (await s.tick()).checkpoint is not None
