"""What happens in a life, written down before it is lived: so that a failing one can be lived again, and cut short."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

HOUR = 3600
SETTLE = "settles"


@dataclass(frozen=True, slots=True)
class Act:
    """Something happens. Its own seed decides how, so that it stays the same when others are taken away."""

    at: int  # seconds of a life without the time it takes to settle
    kind: str
    seed: int

    def __str__(self) -> str:
        return f"{self.at // HOUR:3d}:{self.at % HOUR // 60:02d}:{self.at % 60:02d} {self.kind} #{self.seed}"


def written(seed: int, hours: int, rate_by_kind: Mapping[str, float], settle_hours: int) -> list[Act]:
    """A script of so many hours, in which each kind of act comes so many times an hour on average."""
    random = Random(seed)
    acts = [
        Act(random.randrange(hours * HOUR), kind, random.getrandbits(32))
        for kind, rate in rate_by_kind.items()
        for _ in range(_count(random, rate * hours))
    ]
    acts += [Act(hour * HOUR, SETTLE, 0) for hour in range(settle_hours, hours + 1, settle_hours)]
    return sorted(acts, key=lambda act: act.at)


def _count(random: Random, mean: float) -> int:
    whole = int(mean)
    return whole + (random.random() < mean - whole)


def shortest(acts: Sequence[Act], is_failing: Callable[[Sequence[Act]], bool], tries_max: int = 150) -> list[Act]:
    """A part of a failing script that still fails, of which (as far as `tries_max` reaches) nothing can be left out."""
    kept, size, tries = [*acts], max(len(acts) // 2, 1), 0
    while True:
        at, is_shorter = 0, False
        while at < len(kept) and tries < tries_max:
            part = [*kept[:at], *kept[at + size :]]
            tries += 1
            if is_failing(part):
                kept, is_shorter = part, True
            else:
                at += size
        if tries >= tries_max or (size == 1 and not is_shorter):
            return kept
        size = max(size // 2, 1)
