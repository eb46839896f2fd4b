"""Which price is believed: worked cases, and properties over random sources with liars among them."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lab.shop import NOW

from paynode.domain.quote import Rate
from paynode.domain.rates import (
    AGREEMENT,
    BAND,
    FIRST_HOLD,
    JUMP_HOLD,
    Pending,
    Refused,
    inverse,
    judge,
    middle,
    through,
    within,
)

AGE_MAX = timedelta(minutes=5)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def report(value: str | Decimal, source: str = "a", age: timedelta = timedelta(0)) -> Rate:
    return Rate("eth", "USD", Decimal(value), NOW - age, source)


def reports(*values: str) -> list[Rate]:
    return [report(value, source) for value, source in zip(values, "abcdef", strict=False)]


def believed(
    said: list[Rate], known: Rate | None = None, pending: Pending | None = None, now: datetime = NOW
) -> Decimal | str:
    """The price, or why there is none."""
    verdict = judge(said, known, now=now, age_max=AGE_MAX, pending=pending)
    return verdict.reason if isinstance(verdict, Refused) else verdict.value


def pending_of(said: list[Rate], known: Rate | None = None, pending: Pending | None = None) -> Pending:
    verdict = judge(said, known, now=NOW, age_max=AGE_MAX, pending=pending)
    assert isinstance(verdict, Refused)
    assert verdict.pending is not None
    return verdict.pending


def test_the_median_of_three_is_believed_at_once() -> None:
    assert believed(reports("3000", "3010", "3005")) == 3005


def test_the_middle_of_two_that_agree_is_believed_at_once() -> None:
    assert believed(reports("3000", "3010")) == 3005


def test_a_price_is_as_old_as_its_oldest_report_and_names_all_who_said_it() -> None:
    verdict = judge(
        [report("3000", "b", MINUTE), report("3001", "a"), report("9", "c", 2 * MINUTE)],
        None,
        now=NOW,
        age_max=AGE_MAX,
    )
    assert verdict == Rate("eth", "USD", Decimal("3000.5"), NOW - MINUTE, "a+b")


def test_one_mad_feed_is_not_averaged_in_when_a_third_is_down() -> None:
    known = report("3000", "a+b", MINUTE)
    assert believed(reports("3001", "3001000"), known) == 3001
    assert "disagree" in str(believed(reports("3001", "3001000")))
    assert "disagree" in str(believed(reports("3001", "3001000"), report("3000", "a+b", DAY)))


def test_three_that_all_disagree_are_settled_by_the_last_good_price_or_not_at_all() -> None:
    assert believed(reports("2000", "3000", "4000"), report("3100", "a", MINUTE)) == 3000
    assert "disagree" in str(believed(reports("2000", "3000", "4000")))


def test_two_against_two_are_settled_by_the_last_good_price_or_not_at_all() -> None:
    assert believed(reports("2000", "2001", "3000", "3001"), report("2010", "a", MINUTE)) == Decimal("2000.5")
    assert "disagree" in str(believed(reports("2000", "2001", "3000", "3001")))


def test_a_jump_is_believed_at_once_of_two_and_of_one_only_if_it_lasts() -> None:
    known = report("3000", "a", MINUTE)
    assert believed(reports("2400", "2410"), known) == 2405
    pending = pending_of(reports("2400"), known)
    assert pending == Pending(Decimal(2400), NOW)
    assert pending_of([report("2390")], known, Pending(Decimal(2400), NOW - MINUTE)) == Pending(
        Decimal(2400), NOW - MINUTE
    )
    assert believed([report("2390")], known, Pending(Decimal(2400), NOW - JUMP_HOLD)) == 2390
    assert pending_of([report("3600")], known, Pending(Decimal(2400), NOW - JUMP_HOLD)) == Pending(Decimal(3600), NOW)


def test_the_first_price_of_a_lone_source_must_be_said_twice() -> None:
    pending = pending_of(reports("3000"))
    later = NOW + FIRST_HOLD
    assert believed([Rate("eth", "USD", Decimal(3001), later, "a")], pending=pending, now=later) == 3001


def test_a_clock_that_was_put_back_begins_the_wait_anew() -> None:
    assert pending_of(reports("3000"), pending=Pending(Decimal(3000), NOW + DAY)) == Pending(Decimal(3000), NOW)


@pytest.mark.parametrize("age", [MINUTE, DAY, 30 * DAY, 3000 * DAY])
@pytest.mark.parametrize("factor", ["1000", "0.001"])
def test_a_lone_source_that_is_a_thousand_times_off_is_never_believed(age: timedelta, factor: str) -> None:
    known = report("3000", "a", age)
    mad = report(3000 * Decimal(factor))
    assert "alone" in str(believed([mad], known, Pending(mad.value, NOW - 100 * DAY)))


def test_after_a_long_absence_a_lone_source_may_say_what_became_of_a_price() -> None:
    assert believed([report("7000")], report("3000", "a", 10 * DAY), Pending(Decimal(7000), NOW - JUMP_HOLD)) == 7000
    assert "alone" in str(believed([report("7000")], report("3000", "a", DAY), Pending(Decimal(7000), NOW - DAY)))


@pytest.mark.parametrize("value", ["0", "-3000", "NaN", "sNaN", "Infinity", "-Infinity", "1e-19", "1e19", "1e999999"])
def test_what_is_no_price_is_never_believed(value: str) -> None:
    assert believed([report(value)], report("3000", "a", MINUTE)) == "a: not a price"
    assert believed([report(value, "x"), *reports("3000", "3001")]) == Decimal("3000.5")


@pytest.mark.parametrize("age", [AGE_MAX + MINUTE, 100 * DAY, -3 * MINUTE])
def test_what_is_old_or_from_the_future_is_never_believed(age: timedelta) -> None:
    assert isinstance(believed([report("3000", age=age)], report("3000", "a", MINUTE)), str)


def test_without_reports_the_reason_says_that_nobody_knows_it() -> None:
    assert believed([]) == "no source knows it"


prices = st.decimals(Decimal("0.00001"), Decimal(10**7), places=5)
near = st.decimals(Decimal("0.99"), Decimal("1.01"), places=4)
anything = st.one_of(st.decimals(allow_nan=True, allow_infinity=True), prices)
ages = st.integers(-1000, 1000).map(lambda seconds: timedelta(seconds=seconds))


@given(prices, st.lists(near, min_size=2, max_size=4), st.lists(anything, max_size=3), st.data())
def test_a_minority_of_liars_moves_the_price_nowhere(
    true: Decimal, honest: list[Decimal], lies: list[Decimal], data: st.DataObject
) -> None:
    lies = lies[: len(honest) - 1]
    said = [report(true * share, f"honest{place}") for place, share in enumerate(honest)]
    said += [report(lie, f"liar{place}") for place, lie in enumerate(lies)]
    verdict = believed(data.draw(st.permutations(said)), data.draw(st.none() | prices.map(report)))
    assert isinstance(verdict, Decimal)
    assert within(verdict, true, AGREEMENT * 2)


@given(prices, near, anything, ages)
def test_one_liar_beside_one_honest_source_moves_a_known_price_at_most_by_the_band(
    true: Decimal, share: Decimal, lie: Decimal, age: timedelta
) -> None:
    known = report(true, "a+b", MINUTE)
    verdict = believed([report(true * share, "honest"), report(lie, "liar", age)], known)
    assert isinstance(verdict, Decimal)
    assert within(verdict, true, BAND)


@given(st.lists(st.tuples(anything, ages), max_size=5), st.none() | prices, st.none() | prices, st.integers(0, 10**8))
def test_a_price_that_is_believed_is_a_fresh_number_above_zero_that_somebody_said(
    said: list[tuple[Decimal, timedelta]], known: Decimal | None, held: Decimal | None, known_age: int
) -> None:
    given_reports = [report(value, f"s{place}", age) for place, (value, age) in enumerate(said)]
    verdict = judge(
        given_reports,
        None if known is None else report(known, "k", timedelta(seconds=known_age)),
        now=NOW,
        age_max=AGE_MAX,
        pending=None if held is None else Pending(held, NOW - DAY),
    )
    if isinstance(verdict, Refused):
        assert verdict.reason
        return
    assert verdict.value.is_finite()
    assert verdict.value > 0
    assert NOW - verdict.at <= AGE_MAX
    used = [each.value for each in given_reports if each.source in verdict.source.split("+")]
    assert used
    slack = 1 + Fraction(1, 10**12)
    assert Fraction(min(used)) <= Fraction(verdict.value) * slack
    assert Fraction(verdict.value) <= Fraction(max(used)) * slack


@given(st.lists(st.tuples(anything, ages), max_size=5), st.none() | prices, st.randoms(use_true_random=False))
def test_the_order_in_which_sources_answer_changes_nothing(
    said: list[tuple[Decimal, timedelta]], known: Decimal | None, random: object
) -> None:
    given_reports = [report(value, f"s{place}", age) for place, (value, age) in enumerate(said)]
    last = None if known is None else report(known, "k", MINUTE)
    shuffled = list(given_reports)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = believed(given_reports, last), believed(shuffled, last)
    assert one == other or (isinstance(one, str) and isinstance(other, str))


def test_the_middle_of_a_market_needs_two_offers_that_are_near() -> None:
    assert middle(Decimal(99), Decimal(101)) == 100
    assert middle(Decimal(100), Decimal(106)) is None
    assert middle(Decimal(0), Decimal(1)) is None
    assert middle(Decimal(2), Decimal(1)) is None
    assert middle(Decimal("NaN"), Decimal(1)) is None


def test_a_price_in_tether_is_told_in_dollars_by_what_tether_costs() -> None:
    leg = Rate("usdt", "USD", Decimal("0.9"), NOW - MINUTE, "a+b")
    assert through(Rate("eth", "USDT", Decimal(3000), NOW, "c"), leg) == Rate(
        "eth", "USD", Decimal(2700), NOW - MINUTE, "c"
    )
    assert inverse(Decimal("1.25")) == Decimal("0.8")
