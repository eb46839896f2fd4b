"""What a provider was asked today, and what waits for its turn."""

from datetime import UTC, datetime, timedelta

import trio
from trio.testing import MockClock

from paynode.chains.meter import Meter
from paynode.domain.budget import PAUSE_SECONDS_MAX, Budget, Usage

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_calls_are_counted_until_midnight_utc() -> None:
    now = datetime(2026, 5, 1, 23, 59, 59, tzinfo=UTC)
    meter = Meter(Budget(), lambda: now)
    meter.count(1)
    meter.count(50)
    assert meter.usage.calls == 51
    now += timedelta(seconds=1)
    assert meter.usage.calls == 0
    meter.count(2)
    assert meter.usage.calls == 2


def test_a_restart_goes_on_with_the_calls_of_the_same_day_only() -> None:
    counted = Usage(NOON.date(), calls=998, looks=400, calls_saved=7, seconds_waited=50)
    meter = Meter(Budget(calls_per_day=1_000), lambda: NOON, counted=counted)
    assert meter.usage == counted
    meter.count(2)
    assert meter.is_spent
    tomorrow = Meter(Budget(calls_per_day=1_000), lambda: NOON + timedelta(days=1), counted=counted)
    assert tomorrow.usage == Usage(NOON.date() + timedelta(days=1))


async def test_calls_above_the_rate_wait_for_their_turn_in_the_order_asked(autojump_clock: MockClock) -> None:
    meter = Meter(Budget(calls_per_second=10), lambda: NOON)
    gone: list[tuple[int, float]] = []

    async def ask(number: int, calls: int) -> None:
        await meter.admit(calls)
        gone.append((number, round(trio.current_time() - start, 3)))

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number, calls in enumerate((10, 5, 10, 1)):
            nursery.start_soon(ask, number, calls)
            await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
    assert gone == [(0, 0.0), (1, 0.5), (2, 1.5), (3, 1.6)]
    assert meter.usage.seconds_waited == 4  # 0.5 + 1.5 + 1.6, rounded


async def test_in_no_second_more_calls_go_than_twice_the_rate(autojump_clock: MockClock) -> None:
    """A bucket lets a burst of one second go at once, and the rate after it."""
    meter = Meter(Budget(calls_per_second=5), lambda: NOON)
    times: list[float] = []
    await trio.sleep(100)
    for _ in range(40):
        await meter.admit(1)
        times.append(trio.current_time())
    assert max(sum(at <= other < at + 1 for other in times) for at in times) <= 10
    assert 6.9 < times[-1] - times[0] <= 8


async def test_without_a_budget_nothing_waits(autojump_clock: MockClock) -> None:
    meter = Meter(Budget(), lambda: NOON)
    start = trio.current_time()
    for _ in range(1000):
        await meter.admit(50)
        meter.count(50)
    assert trio.current_time() == start
    assert meter.pace(2.0, is_urgent=False) == 2.0
    assert (meter.batch_max(50), meter.is_spent, meter.usage.seconds_waited) == (50, False, 0)


def test_a_batch_is_no_larger_than_what_a_second_allows() -> None:
    assert Meter(Budget(calls_per_second=10), lambda: NOON).batch_max(50) == 10
    assert Meter(Budget(calls_per_second=100), lambda: NOON).batch_max(50) == 50


def test_a_spent_budget_slows_looks_down_and_tells_what_that_saved_and_cost() -> None:
    now = NOON
    meter = Meter(Budget(calls_per_day=1_000), lambda: now)
    assert not meter.is_spent
    for _ in range(500):
        meter.looked()
        meter.count(2)
    assert meter.is_spent
    assert meter.pace(15.0, is_urgent=True) == PAUSE_SECONDS_MAX
    assert (meter.usage.calls_saved, meter.usage.seconds_waited) == (38, 285)  # 19 looks of 2 calls
    now += timedelta(hours=12)
    assert not meter.is_spent
    assert (meter.usage.calls_saved, meter.usage.seconds_waited) == (0, 0)
