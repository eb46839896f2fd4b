"""What one provider was asked today and may still be asked.

Calls are counted as providers bill them: each call of a batch counts, and a day is one of UTC. A call above the rate
waits, and none is ever refused: the daily budget is kept by looking less often.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import trio

from paynode.domain.budget import Budget, Spending, pause_seconds

BURST_SECONDS = 1.0  # what was not used of the last second may be used at once


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Day:
    date: date
    calls: int = 0
    looks: int = 0
    calls_saved: float = 0.0
    seconds_waited: float = 0.0


class Meter:
    """Counts and paces one provider's calls; begins anew at midnight UTC, and with the process."""

    def __init__(self, budget: Budget, clock: Callable[[], datetime] = utc_now) -> None:
        self._budget = budget
        self._clock = clock
        self._current = _Day(clock().date())
        self._paid_until = -float("inf")  # the moment up to which the rate is used

    @property
    def calls_per_day(self) -> int | None:
        return self._budget.calls_per_day

    @property
    def calls_today(self) -> int:
        return self._day().calls

    @property
    def calls_saved_today(self) -> int:
        """About how many calls the looks would have made that were put off."""
        return round(self._day().calls_saved)

    @property
    def seconds_waited_today(self) -> int:
        """For how long calls and looks were put off."""
        return round(self._day().seconds_waited)

    @property
    def is_spent(self) -> bool:
        """Whether today's budget is used up."""
        return self.calls_per_day is not None and self.calls_today >= self.calls_per_day

    def batch_max(self, calls_max: int) -> int:
        """How many calls one batch may hold: a second's worth, and at most `calls_max`."""
        return min(calls_max, self._budget.calls_per_second or calls_max)

    def count(self, calls: int) -> None:
        self._day().calls += calls

    def looked(self) -> None:
        """Note that a look begins."""
        self._day().looks += 1

    async def admit(self, calls: int) -> None:
        """Wait until `calls` more are within the rate; whoever asks first goes first."""
        begin = self.reserve(calls)
        wait = begin - trio.current_time()
        if wait > 0:
            self._day().seconds_waited += wait
            await trio.sleep_until(begin)

    def reserve(self, calls: int) -> float:
        """Take `calls` from the rate without waiting; returns from when on they are within it."""
        now = trio.current_time()
        if self._budget.calls_per_second is None:
            return now
        self._paid_until = max(self._paid_until, now - BURST_SECONDS) + calls / self._budget.calls_per_second
        return self._paid_until

    def pace(self, wanted_seconds: float, *, is_urgent: bool) -> float:
        """How long to wait until the next look, at least `wanted_seconds`, for the budget to last."""
        if self._budget.calls_per_day is None:
            return wanted_seconds
        day = self._day()
        spending = Spending(self._budget.calls_per_day, day.calls, day.looks, self._seconds_left())
        pause = pause_seconds(wanted_seconds, spending, is_urgent=is_urgent)
        day.seconds_waited += pause - wanted_seconds
        day.calls_saved += (pause - wanted_seconds) / wanted_seconds * spending.calls_per_look
        return pause

    def _seconds_left(self) -> float:
        now = self._clock().astimezone(UTC)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        return (midnight - now).total_seconds()

    def _day(self) -> _Day:
        today = self._clock().astimezone(UTC).date()
        if today != self._current.date:
            self._current = _Day(today)
        return self._current
