"""Which price to believe: several sources say what a coin costs, and each of them may be wrong.

    reports -> fit ones -> a majority that agrees -> near the last good price?   yes: accepted
                                                                                 no, two or more say so: accepted
                                                                                 no, one alone says so: it must hold on

The one rule: no source alone moves a price far. A mean would let one mad feed in, so it is taken only of prices that
agree; whatever disagrees with the majority is left out, and without a majority the last good price decides, or nobody.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from fractions import Fraction

from paynode.domain.quote import Rate

VALUE_MIN, VALUE_MAX = Decimal("1e-18"), Decimal("1e18")
AGREEMENT = Fraction(1, 20)  # exchanges stay within one percent, their fiat books within a few
BAND = Fraction(1, 10)  # what a coin may move from one round to the next without a second witness
REFERENCE_AGE_MAX = timedelta(hours=1)  # of a last good price that may decide between sources that disagree
AHEAD_MAX = timedelta(minutes=2)  # a source's clock may run before ours
FIRST_HOLD = timedelta(seconds=15)  # a lone first price must be said twice
JUMP_HOLD = timedelta(minutes=3)  # a lone jump must last; until then the last good price serves, within its age

# How far a lone source may move a price at last, by the age of the last good one. A feed that is off by a thousand
# (Synthetix, 2019) is never believed alone.
REACH = (
    (timedelta(days=1), Fraction(1, 2)),
    (timedelta(days=30), Fraction(2)),
    (timedelta.max, Fraction(9)),
)

PRECISION = Context(prec=18)  # digits of a price: far finer than any market


@dataclass(frozen=True, slots=True)
class Pending:
    """A price that one source alone says, and since when."""

    value: Decimal
    since: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no price to believe; `reason` is for people."""

    reason: str
    pending: Pending | None = None  # what may be believed if it holds on


def judge(
    reports: Iterable[Rate], known: Rate | None, *, now: datetime, age_max: timedelta, pending: Pending | None = None
) -> Rate | Refused:
    """The price to believe of one pair, or why there is none.

    `reports` has at most one per source; `known` is the last good price, `pending` what the last refusal left.
    """
    judged = [(report, _unfit(report, now, age_max)) for report in reports]
    fit = sorted(
        (report for report, reason in judged if reason is None), key=lambda report: (report.value, report.source)
    )
    if not fit:
        return Refused("; ".join(f"{report.source}: {reason}" for report, reason in judged) or "no source knows it")
    group = _majority(fit)
    if group is None:
        group = [report for report in fit if _is_near(report, known, now)]
        return _agreed(group) if group else Refused(f"the sources disagree: {_shown(fit)}")
    price = _agreed(group)
    if len(group) > 1 or (known is not None and within(price.value, known.value, BAND)):
        return price
    return _alone(price, known, now, pending)


def within(one: Decimal, other: Decimal, share: Fraction) -> bool:
    """Whether two prices differ by at most `share` of the lower one."""
    low, high = sorted((Fraction(one), Fraction(other)))
    return high <= low * (1 + share)


def middle(bid: Decimal, ask: Decimal) -> Decimal | None:
    """The price between the best offers of a market; None if there is no market: a side is empty, or they lie apart."""
    if not (_is_number(bid) and _is_number(ask)) or ask < bid or not within(bid, ask, AGREEMENT):
        return None
    return PRECISION.divide(PRECISION.add(bid, ask), Decimal(2))


def inverse(value: Decimal) -> Decimal:
    """The price of what a price is in: 0.9 euro for a dollar is 1.11 dollars for a euro."""
    return PRECISION.divide(Decimal(1), value)


def through(report: Rate, leg: Rate) -> Rate:
    """What `report` says, told in the currency of `leg`: ether in tether, and tether in dollars."""
    assert report.quote == leg.base.upper(), "the leg begins where the report ends"
    value = PRECISION.multiply(report.value, leg.value) if _is_number(report.value) else report.value
    return Rate(report.base, leg.quote, value, min(report.at, leg.at), report.source)


def _is_number(value: Decimal) -> bool:
    return value.is_finite() and VALUE_MIN <= value <= VALUE_MAX


def _unfit(report: Rate, now: datetime, age_max: timedelta) -> str | None:
    """Why a report is worth nothing, if so."""
    if not _is_number(report.value):
        return "not a price"
    if now - report.at > age_max:
        return f"{_whole_seconds(now - report.at)} s old"
    if report.at - now > AHEAD_MAX:
        return "from the future"
    return None


def _majority(fit: Sequence[Rate]) -> Sequence[Rate] | None:
    """The largest group around one report, if it is more than half; of two such the lower: nobody is paid short."""
    groups = [[other for other in fit if within(report.value, other.value, AGREEMENT)] for report in fit]
    largest = max(groups, key=len)
    return largest if 2 * len(largest) > len(fit) else None


def _is_near(report: Rate, known: Rate | None, now: datetime) -> bool:
    return known is not None and now - known.at <= REFERENCE_AGE_MAX and within(report.value, known.value, BAND)


def _agreed(group: Sequence[Rate]) -> Rate:
    """The median of a group in order; as old as its oldest report."""
    half = len(group) // 2
    middle_ones = group[half : half + 1] if len(group) % 2 else group[half - 1 : half + 1]
    total = PRECISION.add(middle_ones[0].value, middle_ones[-1].value)
    sources = "+".join(sorted(report.source for report in group))
    at = min(report.at for report in group)
    return Rate(group[0].base, group[0].quote, PRECISION.divide(total, Decimal(2)), at, sources)


def _alone(price: Rate, known: Rate | None, now: datetime, pending: Pending | None) -> Rate | Refused:
    """A price that only one source says, and that is not where the last good one was."""
    if known is not None and not within(price.value, known.value, _reach(now - known.at)):
        return Refused(f"{_shown([price])} alone, far from the last good price {known.value:f}")
    if pending is None or pending.since > now or not within(pending.value, price.value, AGREEMENT):
        pending = Pending(price.value, now)
    hold = FIRST_HOLD if known is None else JUMP_HOLD
    if now - pending.since >= hold:
        return price
    what = "the first price" if known is None else f"a jump from {known.value:f}"
    return Refused(f"{_shown([price])} alone, {what}: believed if it holds for {_whole_seconds(hold)} s", pending)


def _reach(age: timedelta) -> Fraction:
    return next(share for age_max, share in REACH if age <= age_max)


def _shown(reports: Sequence[Rate]) -> str:
    return ", ".join(f"{report.source} says {PRECISION.plus(report.value):f}" for report in reports)


def _whole_seconds(span: timedelta) -> int:
    return int(span.total_seconds())
