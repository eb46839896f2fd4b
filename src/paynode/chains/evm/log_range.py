"""How many blocks one provider reads per log query. Pure.

A cap of the range is a property of the provider: it is searched for once,
between the widest range that was answered and the narrowest that was refused,
and kept for a day. Too many results, or an answer too slow, are properties of
those blocks: the range narrows, and widens again step by step.
"""

from paynode.chains.jsonrpc import RangeTooWide, TooMuch

LOG_BLOCKS_MAX = 1 << 22  # where the search for the cap begins
GROW_AFTER = 16  # so many answers in a row, and a wider range is tried
CAP_SECONDS = 86_400.0  # a cap is tried again after a day: plans change


class LogRange:
    """`blocks` is the range to ask for; tell it how each question went, with the seconds of a clock."""

    def __init__(self) -> None:
        self.blocks = LOG_BLOCKS_MAX
        self._answered = 0  # the widest range that was answered
        self._refused: int | None = None  # the narrowest range that was too wide
        self._refused_until = 0.0
        self._answers = 0  # in a row, at the range asked for

    def refused(self, blocks: int, failure: TooMuch, now: float) -> None:
        narrower = max(self._answered, blocks // 2) if self._answered < blocks else blocks // 2
        if isinstance(failure, RangeTooWide):
            self._refused, self._refused_until = blocks, now + CAP_SECONDS
            if failure.blocks_max is not None and failure.blocks_max < blocks:
                narrower, self._refused = failure.blocks_max, failure.blocks_max + 1
        if self._answered >= blocks:
            self._answered = 0
        self.blocks, self._answers = max(narrower, 1), 0

    def answered(self, blocks: int, now: float) -> None:
        if blocks < self.blocks:
            return  # it was not the provider that bounded this one
        self._answered = max(self._answered, blocks)
        self._answers += 1
        if self._answers < GROW_AFTER:
            return
        self._answers = 0
        if self._refused is not None and now >= self._refused_until:
            self._refused = None
        wider = LOG_BLOCKS_MAX if self._refused is None else (blocks + self._refused) // 2
        self.blocks = min(2 * blocks, wider)
