"""Deadlines are judged by blocks that more than one provider has, with the same time."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.chains.evm.fakescene import DEPTH, FakeScene

from paynode.chains.evm.agreement import OurTime, WrongTime
from paynode.chains.evm.tick import Tick
from paynode.chains.evm.views import Views
from paynode.chains.evm.watchlist import Watchlist
from paynode.domain.chain import BlockRef, Observation


async def past_a_deadline(s: FakeScene) -> BlockRef:
    """Look at a block, which is then the cursor and past a deadline."""
    s.mine(20)
    cursor = (await s.tick()).head
    s.keeper.passed_deadline = cursor.at - timedelta(seconds=1)
    s.mine()
    return cursor


async def test_a_deadline_is_judged_at_a_block_that_both_providers_have() -> None:
    s = FakeScene()
    cursor = await past_a_deadline(s)
    assert (await s.tick()).agreed_until == cursor.at


async def test_a_deadline_waits_while_the_other_provider_does_not_have_the_block() -> None:
    s = FakeScene()
    s.views[1].chain = s.chain.fork()
    await past_a_deadline(s)
    assert (await s.tick()).agreed_until is None
    s.views[1].chain = s.chain
    assert (await s.tick()).agreed_until is not None


async def test_a_time_that_one_provider_forged_ends_nothing() -> None:
    s = FakeScene()
    s.views[0].lies = {"future head"}
    cursor = await past_a_deadline(s)
    s.views[0].lies = set()
    s.mine()
    seen = await s.tick()
    assert seen.agreed_until is None
    assert seen.head.at < cursor.at
    agreed = (await s.tick()).agreed_until
    assert agreed is not None
    assert agreed < cursor.at - timedelta(seconds=1)


async def test_without_a_deadline_the_other_provider_is_not_asked() -> None:
    s = FakeScene()
    await s.tick()
    s.mine()
    await s.tick()  # where are you?
    asked: list[str] = []
    s.views[1].before_read = lambda name, what: asked.append(what)
    for _ in range(100):
        s.mine(3)
        assert (await s.tick()).hold is None
    assert set(asked) == {"nothing"}  # of no block, log, or receipt


async def seen_without_a_second(s: FakeScene, *, is_alone: bool) -> Observation:
    books = s.keeper.books()
    views = Views(s.views[0], None, is_alone=is_alone)
    seen = await Tick(views, DEPTH, Watchlist.of(books, []), books, s.memory, s.our_time).observe()
    s.keeper.apply(seen)
    return seen


async def test_while_the_other_provider_is_away_a_deadline_is_judged_at_twice_the_depth() -> None:
    s = FakeScene()
    cursor = await past_a_deadline(s)
    for _ in range(2 * DEPTH - 2):
        assert (await seen_without_a_second(s, is_alone=False)).agreed_until != cursor.at
        s.mine()
    assert (await seen_without_a_second(s, is_alone=False)).agreed_until == cursor.at


async def test_a_single_provider_is_taken_at_its_word() -> None:
    s = FakeScene()
    await past_a_deadline(s)
    seen = await seen_without_a_second(s, is_alone=True)
    assert seen.agreed_until == seen.head.at


async def test_a_head_from_the_future_is_refused() -> None:
    s = FakeScene()
    s.views[0].lies = {"far future head"}
    with pytest.raises(WrongTime, match="1 day"):
        await s.tick()


async def test_a_clock_that_is_behind_refuses_no_head() -> None:
    s = FakeScene(clock_ahead=-timedelta(hours=1))
    assert (await s.tick()).checkpoint is not None
    s.views[0].lies = {"far future head"}
    s.mine()
    with pytest.raises(WrongTime):
        await s.tick()


async def test_a_clock_that_is_set_back_goes_on() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    times = [noon, noon - timedelta(hours=1), noon + timedelta(hours=1)]
    ours = OurTime(lambda: times.pop(0))
    assert ours.latest() == noon
    assert noon <= ours.latest() < noon + timedelta(minutes=1)
    assert ours.latest() == noon + timedelta(hours=1)
