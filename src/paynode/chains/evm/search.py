"""Where to look for money: windows of blocks for logs, heights of a bisect for native coins. Pure.

Both are written without I/O: they say what to read next and are told what was
read, so that a test can feed them any chain, true or lying.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from paynode.domain.chain import BlockRef, Books, Pair, Row

WIDEN = 4  # each window is this many times wider than the one above it


def windows(high: int, first_low: int, floor: int) -> Iterator[tuple[int, int]]:
    """Ranges (low, high], newest first, each wider than the one before, down to `floor`."""
    low = max(min(first_low, high - 1), floor)
    width = high - low
    while high > floor:
        yield low, high
        width *= WIDEN
        high, low = low, max(low - width, floor)


class Step(NamedTuple):
    """A rise by `units` in the blocks (low, high], or a fall: in one block, if the search came to its end."""

    low: int
    high: int
    units: int

    @property
    def is_placed(self) -> bool:
        return self.high - self.low == 1


@dataclass(slots=True)
class Climb:
    """The bisect of one pair: finds the blocks in which a residual rises.

    A residual is the balance less what the books say up to the same height. It should only rise, since nothing but
    our own transactions (which are booked first) takes native coins from an address that our key controls; so two
    equal ends have nothing between them.
    """

    residual_by_height: dict[int, int] = field(default_factory=dict)
    is_given_up: bool = False  # what is not found yet stays a span
    gone_to: int = -1  # up to here no more can be read: what is not found there stays a span, too

    def wanted(self) -> list[int]:
        """The heights to read next; none: every step is found, or as near as it can be."""
        return [
            (bottom + high) // 2
            for low, high in pairwise(sorted(self.residual_by_height))
            if high - (bottom := max(low, self.gone_to)) > 1
            and not self.is_given_up
            and self.residual_by_height[low] != self.residual_by_height[high]
        ]

    def steps(self) -> list[Step]:
        """Every rise, oldest first. A fall among them says that the reads contradict each other, or that coins left."""
        return [
            Step(low, high, units)
            for low, high in pairwise(sorted(self.residual_by_height))
            if (units := self.residual_by_height[high] - self.residual_by_height[low])
        ]


def agreed_checkpoint(
    books: Books, pair: Pair, replaceable: Sequence[Row], canonical_below: int, *, is_sure: bool
) -> BlockRef | None:
    """The newest canonical checkpoint at which, as far as the books know, `pair` equalled its proven rows.

    Only at the wide ones has it surely been looked at (`is_sure`), unless its watch was over; the others are where a
    search may well begin.
    """
    limit = min([canonical_below, *(row.block.number - 1 for row in replaceable)])
    if (dispute := books.disputes.get(pair)) is not None:
        limit = min(limit, dispute.since.number - 1)
    unseen = books.unseen.get(pair.address)

    def was_looked_at(checkpoint: BlockRef) -> bool:
        return checkpoint.number in books.wide and (unseen is None or checkpoint.at <= unseen)

    agreed = (each for each in books.checkpoints if each.number <= limit and (not is_sure or was_looked_at(each)))
    return next(agreed, None)


def start_heights(first: int, head: int, floor: int, sums: Collection[int] = ()) -> list[int]:
    """Where a bisect may start, newest first: the height believed to be equal, then older and wider, the floor last.

    Among them are the heights, at and above the floor, of rows whose place is only the end of an interval (`sums`).
    """
    heights = [max(first, floor)]
    while heights[-1] > floor:
        heights.append(max(head - (head - heights[-1] + 1) * WIDEN, floor))
    return sorted({*heights, *(height for height in sums if floor <= height <= head)}, reverse=True)
