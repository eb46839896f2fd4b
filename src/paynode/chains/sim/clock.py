"""The clock of a simulated node: the time of day, and ahead of it by as much as it was moved. It never goes back."""

from collections.abc import Callable
from datetime import datetime, timedelta

AHEAD_MAX = timedelta(days=3650)  # dates so far away still fit everywhere


class MovableClock:
    """What a simulated node and its networks take for now."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return self._clock() + self._ahead

    def advance(self, duration: timedelta) -> datetime:
        """Move on by `duration`; returns what is now.

        Raises:
            ValueError: that would be more than ten years ahead of the time of day; a sentence for people.
        """
        assert duration >= timedelta(0), "time only moves on"
        if self._ahead + duration > AHEAD_MAX:
            raise ValueError(f"The simulation can be {AHEAD_MAX.days} days ahead, and is {self._ahead.days} already.")
        self._ahead += duration
        return self()

    def reach(self, moment: datetime) -> None:
        """Move on to `moment`, unless it is over already.

        Raises:
            ValueError: as `advance`.
        """
        self.advance(max(moment - self(), timedelta(0)))
