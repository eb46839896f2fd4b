"""Which loops make progress: being alive is not enough, a loop must come round in time.

Each loop beats once a turn and has a patience of its own: how long a turn, its waiting included, may take at most.
"""

from collections.abc import Callable, Mapping
from functools import partial


class Progress:
    """The loops of one process. Moments are seconds of `clock`, which only ever runs forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._patience_by_loop: dict[str, float] = {}
        self._last_beat_by_loop: dict[str, float] = {}

    def beater(self, loop: str, patience_seconds: float) -> Callable[[], None]:
        """Expect `loop` to beat from now on; returns its beat."""
        self._patience_by_loop[loop] = patience_seconds
        self.beat(loop)
        return partial(self.beat, loop)

    def beat(self, loop: str) -> None:
        """Note that `loop` came round."""
        assert loop in self._patience_by_loop, "beater() names a loop before it beats"
        self._last_beat_by_loop[loop] = self._clock()

    def late(self) -> tuple[str, ...]:
        """The loops that did not come round within their patience, in the order they were named."""
        return tuple(
            loop for loop, patience in self._patience_by_loop.items() if self._silence_seconds(loop) > patience
        )

    def report(self) -> Mapping[str, str]:
        """By loop: "ok", or for how long it has not come round, for people."""
        late = self.late()
        return {
            loop: f"no progress for {self._silence_seconds(loop):.0f} s" if loop in late else "ok"
            for loop in self._patience_by_loop
        }

    def _silence_seconds(self, loop: str) -> float:
        return self._clock() - self._last_beat_by_loop[loop]
