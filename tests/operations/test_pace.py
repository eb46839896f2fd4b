"""How long the scanner rests: by who waits, and in step with the blocks."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import trio
from tests.lab.shop import NOW, open_shop, sim_config

from paynode.domain import attention as attentions
from paynode.domain.attention import ATTENTION_SECONDS_MAX, OPEN_SECONDS, Attention
from paynode.domain.chain import BlockRef
from paynode.operations import pace
from paynode.operations.pace import HURRY_SECONDS, PROPAGATION_SECONDS
from paynode.store import chain
from paynode.store.chain import NetworkRecord

TICK_SECONDS = 15


@pytest.fixture
def watched_pause(tmp_path: Path) -> Callable[[float, float], float]:
    """The pause in front of an open page, given the blocks' distance and the head's age in seconds."""
    shop = open_shop(sim_config(tmp_path, f'[networks.alpha]\nfamily = "sim"\ntick_seconds = {TICK_SECONDS}\n'))

    def pause(apart: float, age: float) -> float:
        head_at = NOW - timedelta(seconds=age)
        for back in (5, 0):
            block = BlockRef(100 - back, f"0x{back}", head_at - timedelta(seconds=apart * back))
            shop.database.write(chain.add_checkpoint, "alpha", block)
        shop.database.write(chain.save_network, NetworkRecord("alpha", head_number=100, head_at=head_at))
        return shop.database.read(pace.pause_seconds, shop.catalogue, "alpha", NOW, is_watched=True)

    return pause


@pytest.mark.parametrize(
    ("apart", "age", "seconds"),
    [
        (12, 1, 11 + PROPAGATION_SECONDS),  # the next block is due in 11 seconds
        (12, 8, 4 + PROPAGATION_SECONDS),
        (12, 30, HURRY_SECONDS),  # it is overdue
        (12, -500, 12),  # the chain's clock is ahead of ours
        (0.25, 1, HURRY_SECONDS),
        (600, 1, TICK_SECONDS),
    ],
)
def test_a_look_waits_for_the_next_block(
    watched_pause: Callable[[float, float], float], apart: float, age: float, seconds: float
) -> None:
    assert watched_pause(apart, age) == seconds


async def test_an_open_page_has_attention_for_a_quarter_of_an_hour(autojump_clock: trio.testing.MockClock) -> None:
    attention = Attention(trio.current_time)
    assert not attention.is_on("eth")
    assert attention.seen("inv_1", [("eth_usdt", "eth")])
    opened_at = trio.current_time()
    while trio.current_time() - opened_at <= ATTENTION_SECONDS_MAX:
        assert attention.is_on("eth")
        assert not attention.is_on("base")
        await trio.sleep(OPEN_SECONDS / 2)
        assert not attention.seen("inv_1", [("eth_usdt", "eth")])
    assert not attention.is_on("eth")
    assert attention.seen("inv_1", [("base_usdt", "base")])
    assert attention.is_on("base")


async def test_a_closed_page_has_none(autojump_clock: trio.testing.MockClock) -> None:
    attention = Attention(trio.current_time)
    attention.seen("inv_1", [("eth_usdt", "eth")])
    await trio.sleep(OPEN_SECONDS + 1)
    assert not attention.is_on("eth")
    assert not attention.seen("inv_1", [("eth_usdt", "eth")])  # opened again: what it has used up stays used up


async def test_pages_without_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attentions, "PAGES_MAX", 10)
    attention = Attention(trio.current_time)
    for number in range(30):
        attention.seen(f"inv_{number}", [("eth_usdt", "eth")])
    assert attention.seen("inv_19", [("eth_usdt", "eth")])
    assert not attention.seen("inv_29", [("eth_usdt", "eth")])
