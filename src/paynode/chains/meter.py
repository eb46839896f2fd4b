"""What one provider was asked today and may still be asked.

Calls are counted as providers bill them: each call of a batch counts, and a day is one of UTC. A call above the rate
waits, and none is ever refused: the daily budget is kept by looking less often.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import trio

from paynode.domain.budget import Budget, Spending, Usage, pause_seconds

BURST_SECONDS = 1.0  # what was not used of the last second may be used at once


def utc_now() -> datetime:
    return datetime.now(UTC)


class Meter:
    """Counts and paces one provider's calls; begins anew at midnight UTC, or with what was counted before a restart."""

    def __init__(
        self, budget: Budget, clock: Callable[[], datetime] = utc_now, *, counted: Usage | None = None
    ) -> None:
        self._budget = budget
        self._clock = clock
        self._usage = counted or Usage(self._today())
        self._calls_saved = float(self._usage.calls_saved)
        self._seconds_waited = float(self._usage.seconds_waited)
        self._paid_until = -float("inf")  # the moment up to which the rate is used

    @property
    def usage(self) -> Usage:
        """What was counted today."""
        if self._usage.day != (today := self._today()):
            self._usage, self._calls_saved, self._seconds_waited = Usage(today), 0.0, 0.0
        return replace(self._usage, calls_saved=round(self._calls_saved), seconds_waited=round(self._seconds_waited))

    @property
    def calls_per_day(self) -> int | None:
        return self._budget.calls_per_day

    @property
    def is_spent(self) -> bool:
        """Whether today's budget is used up."""
        return self.calls_per_day is not None and self.usage.calls >= self.calls_per_day

    def batch_max(self, calls_max: int) -> int:
        """How many calls one batch may hold: a second's worth, and at most `calls_max`."""
        return min(calls_max, self._budget.calls_per_second or calls_max)

    def count(self, calls: int) -> None:
        self._usage = replace(self.usage, calls=self.usage.calls + calls)

    def looked(self) -> None:
        """Note that a look begins."""
        self._usage = replace(self.usage, looks=self.usage.looks + 1)

    def failed(self) -> None:
        """Note that it gave no usable answer."""
        self._usage = replace(self.usage, errors=self.usage.errors + 1)

    def lied(self) -> None:
        """Note that what it said was found to be wrong."""
        self._usage = replace(self.usage, lies=self.usage.lies + 1)

    async def admit(self, calls: int) -> None:
        """Wait until `calls` more are within the rate; whoever asks first goes first."""
        begin = self.reserve(calls)
        wait = begin - trio.current_time()
        if wait > 0:
            self._waited(wait)
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
        usage = self.usage
        spending = Spending(self._budget.calls_per_day, usage.calls, usage.looks, self._seconds_left())
        pause = pause_seconds(wanted_seconds, spending, is_urgent=is_urgent)
        self._waited(pause - wanted_seconds)
        self._calls_saved += (pause - wanted_seconds) / wanted_seconds * spending.calls_per_look
        return pause

    def _waited(self, seconds: float) -> None:
        self._usage = self.usage
        self._seconds_waited += seconds

    def _seconds_left(self) -> float:
        now = self._clock().astimezone(UTC)
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        return (midnight - now).total_seconds()

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()
