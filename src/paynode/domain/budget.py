"""How far apart to look so that a provider's daily budget lasts. Pure.

The budget is stretched, never run dry: the less of it is left for the rest of the day, the longer the pause. Looks may
be late without harm, since money that arrived stays visible until it is accounted for; so the pause has an upper end,
and what looks at that pace will cost until midnight is set aside first. Of the rest

    routine looks     leave a reserve, and spread what is beyond it evenly
    urgent looks      may touch the reserve, and spend `HASTE` times as fast as evenly: somebody waits for "paid"

Spending a fixed multiple of what is left per second left comes closer and closer to zero and never reaches it.
"""

from dataclasses import dataclass
from datetime import date

DAY_SECONDS = 86_400.0
PAUSE_SECONDS_MAX = 300.0  # 288 looks a day, with 2 calls each
CALLS_PER_DAY_MIN = 1_000  # the slowest looks, and as much again for what they find
CALLS_PER_SECOND_MIN = 5  # one look after a long outage takes hundreds of calls, and has two minutes
HASTE = 4  # with 25,000 calls a day, looks 2 s apart are not slowed down in the first place
RESERVE_DIVISOR = 5  # a fifth of the budget is for what deepens
CALLS_PER_LOOK_MIN = 2


@dataclass(frozen=True, slots=True)
class Budget:
    """What one provider may be asked, counted as providers bill it: each call of a batch. None: as much as we like."""

    calls_per_day: int | None = None
    calls_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one provider was asked on one day, and how it answered."""

    day: date  # of UTC
    calls: int = 0  # as billed
    looks: int = 0
    errors: int = 0  # calls without a usable answer
    lies: int = 0  # answers found to be wrong: of another network, or of another block than asked for
    calls_saved: int = 0  # about so many more it would have been asked without its budget
    seconds_waited: int = 0  # for so long looks and calls were put off to save them


@dataclass(frozen=True, slots=True)
class Spending:
    """One provider's day so far."""

    calls_per_day: int
    calls_today: int
    looks_today: int
    seconds_left: float  # until the budget begins anew; above 0, at most a day

    @property
    def calls_per_look(self) -> int:
        """What a look costs on average, rounded up, with all that was asked besides looking."""
        return max(CALLS_PER_LOOK_MIN, -(-self.calls_today // max(self.looks_today, 1)))


def pause_seconds(wanted_seconds: float, spending: Spending, *, is_urgent: bool) -> float:
    """How long to wait until the next look: at least `wanted_seconds`, and else at most `PAUSE_SECONDS_MAX`."""
    until_midnight = spending.seconds_left * spending.calls_per_look  # calls, if we looked every second
    slowest = until_midnight / PAUSE_SECONDS_MAX
    free = spending.calls_per_day - spending.calls_today - slowest
    if not is_urgent:
        free -= spending.calls_per_day / RESERVE_DIVISOR * spending.seconds_left / DAY_SECONDS
    spendable = slowest + max(free, 0.0) * (HASTE if is_urgent else 1)
    return max(wanted_seconds, until_midnight / spendable)
