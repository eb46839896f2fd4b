"""What one provider was asked today, as providers bill it: each call of a batch counts, and a day is one of UTC."""

from collections.abc import Callable
from datetime import UTC, date, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)


class Meter:
    """Counts one provider's calls; begins anew at midnight UTC, and with the process."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._day = date.min
        self._calls = 0

    @property
    def calls_today(self) -> int:
        self._turn_over()
        return self._calls

    def count(self, calls: int) -> None:
        self._turn_over()
        self._calls += calls

    def _turn_over(self) -> None:
        if (today := self._clock().date()) != self._day:
            self._day, self._calls = today, 0
