"""A daily budget is stretched: it lasts until midnight whatever happens, and who waits for "paid" goes first."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from paynode.domain.budget import (
    CALLS_PER_DAY_MIN,
    CALLS_PER_LOOK_MIN,
    DAY_SECONDS,
    PAUSE_SECONDS_MAX,
    Spending,
    pause_seconds,
)

BUDGETS = st.integers(CALLS_PER_DAY_MIN, 10**7)
WANTED = st.sampled_from([1.0, 2.0, 15.0, 300.0, 600.0])


@st.composite
def spendings(draw: st.DrawFn) -> Spending:
    calls_per_day = draw(BUDGETS)
    return Spending(
        calls_per_day,
        calls_today=draw(st.integers(0, 2 * calls_per_day)),
        looks_today=draw(st.integers(0, 10**5)),
        seconds_left=draw(st.floats(0.001, DAY_SECONDS)),
    )


@given(WANTED, spendings(), st.booleans())
def test_a_pause_is_never_shorter_than_wanted_nor_longer_than_the_longest(
    wanted: float, spending: Spending, is_urgent: bool
) -> None:
    pause = pause_seconds(wanted, spending, is_urgent=is_urgent)
    assert wanted <= pause <= max(wanted, PAUSE_SECONDS_MAX) * 1.000001


@given(WANTED, spendings())
def test_who_waits_for_paid_never_waits_longer_than_routine(wanted: float, spending: Spending) -> None:
    assert pause_seconds(wanted, spending, is_urgent=True) <= pause_seconds(wanted, spending, is_urgent=False)


@given(WANTED, spendings(), st.booleans(), st.integers(1, 10**6))
def test_a_larger_budget_never_makes_a_pause_longer(
    wanted: float, spending: Spending, is_urgent: bool, more: int
) -> None:
    richer = replace(spending, calls_per_day=spending.calls_per_day + more)
    before, after = (pause_seconds(wanted, which, is_urgent=is_urgent) for which in (spending, richer))
    assert after <= before * 1.000001


def spend_a_day(calls_per_day: int, wanted: float, *, is_urgent: bool, cost: int) -> tuple[int, float]:
    """What looking all day costs, and the longest pause in it."""
    now, calls, looks, longest = 0.0, 0, 0, 0.0
    while now < DAY_SECONDS:
        calls, looks = calls + cost, looks + 1
        pause = pause_seconds(wanted, Spending(calls_per_day, calls, looks, DAY_SECONDS - now), is_urgent=is_urgent)
        now, longest = now + pause, max(longest, pause)
    return calls, longest


def test_a_whole_day_of_looks_stays_within_the_budget() -> None:
    for calls_per_day in (CALLS_PER_DAY_MIN, 5_000, 25_000):
        for is_urgent in (False, True):
            for cost in (CALLS_PER_LOOK_MIN, 3):
                calls, _ = spend_a_day(calls_per_day, 2.0, is_urgent=is_urgent, cost=cost)
                assert calls <= calls_per_day + 2 * cost


def test_a_day_of_routine_on_a_free_plan_is_not_slowed_down() -> None:
    assert spend_a_day(25_000, 15.0, is_urgent=False, cost=2) == (11_520, 15.0)


def test_the_reserve_is_left_for_those_who_wait() -> None:
    spending = Spending(25_000, calls_today=20_500, looks_today=10_250, seconds_left=DAY_SECONDS * 0.99)
    assert pause_seconds(15.0, spending, is_urgent=False) > 250
    assert pause_seconds(2.0, spending, is_urgent=True) < 15


def test_looks_go_on_when_all_is_spent() -> None:
    spending = Spending(25_000, calls_today=30_000, looks_today=15_000, seconds_left=3_600.0)
    assert pause_seconds(2.0, spending, is_urgent=True) == PAUSE_SECONDS_MAX
