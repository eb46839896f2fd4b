"""The markets of an exchange: which of its own names stands for a pair.

An exchange that is asked for one market it does not have refuses the whole question, so we ask only for names it has
told us. They are learned with one long answer, and again when a pair is asked for that was not looked up yet, or when
they have grown old.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from paynode.sources.rates.base import Pair

NAMES_AGE_MAX = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Market:
    pair: Pair  # of the price it gives
    is_inverse: bool = False  # it tells what the currency costs in the coin


Candidates = Callable[[Pair], Iterable[tuple[str, Market]]]  # names a pair may have, the best first


class Markets:
    """What is known of one exchange's markets."""

    def __init__(
        self, learn: Callable[[], Awaitable[Collection[str]]], candidates: Candidates, clock: Callable[[], datetime]
    ) -> None:
        self._learn = learn
        self._candidates = candidates
        self._clock = clock
        self._learned_at: datetime | None = None
        self._known: dict[Pair, tuple[str, Market] | None] = {}  # None: it has no market for that pair

    async def of(self, pairs: Sequence[Pair]) -> Mapping[str, Market]:
        """The exchange's names of the markets for `pairs`, as far as it has them.

        Raises:
            SourceFailed: it would not tell its names.
        """
        age = None if self._learned_at is None else self._clock() - self._learned_at
        if age is None or not timedelta(0) <= age < NAMES_AGE_MAX or any(pair not in self._known for pair in pairs):
            names = await self._learn()
            self._known = {
                pair: next((found for found in self._candidates(pair) if found[0] in names), None) for pair in pairs
            }
            self._learned_at = self._clock()
        return dict(found for pair in pairs if (found := self._known[pair]) is not None)

    def forget(self) -> None:
        """Learn the names anew at the next question: one of them is no market any more."""
        self._learned_at = None
