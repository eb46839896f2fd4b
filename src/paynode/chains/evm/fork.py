"""Which of what we know is still on the chain. Pure.

A row is void only if its own block is no ancestor of the head; checkpoints are
walked down to the newest that is. Below the horizon nothing is followed that
takes back what is final: the network stops and a human decides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paynode.chains.evm.watchlist import Watchlist
from paynode.domain.chain import BlockRef, Books, Pair, Row

Hashes = Mapping[int, str]  # by height, of the head's own chain; a height that is missing is not known


class PastGone(Exception):
    """The chain of `head` left what we knew below the horizon, and below something that is final."""

    def __init__(self, head: BlockRef, reason: str) -> None:
        super().__init__(reason)
        self.head = head


@dataclass(frozen=True, slots=True)
class Fork:
    """Where the chain left what we knew."""

    fork_number: int | None  # the newest checkpoint that is still canonical; None: the cursor is
    orphaned: tuple[Row, ...]


def young_heights(books: Books) -> set[int]:
    """The heights that every look asks for: the cursor's, and those of rows that a reorg may still reach."""
    if books.cursor is None:
        return {row.block.number for row in books.rows}
    lowest = books.cursor.number - books.horizon
    return {books.cursor.number} | {row.block.number for row in books.rows if row.block.number > lowest}


def all_heights(books: Books) -> set[int]:
    """The heights to ask for where something is gone: every checkpoint, down to the first below the horizon."""
    heights = young_heights(books)
    if books.cursor is not None:
        lowest = books.cursor.number - books.horizon
        heights |= {checkpoint.number for checkpoint in books.checkpoints if checkpoint.number > lowest}
        below = (checkpoint.number for checkpoint in books.checkpoints if checkpoint.number <= lowest)
        heights |= {max(below, default=books.cursor.number)}
    return heights


def deep_heights(books: Books) -> set[int]:
    """What to ask for besides where the first checkpoint below the horizon is gone: all down to what is final."""
    lowest = -1 if books.newest_final is None else books.newest_final.number
    below = (checkpoint.number for checkpoint in books.checkpoints if checkpoint.number <= lowest)
    heights = {checkpoint.number for checkpoint in books.checkpoints if checkpoint.number > lowest}
    heights |= {row.block.number for row in books.rows if row.block.number > lowest}
    return (heights | {lowest, max(below, default=lowest)}) - {-1}


def is_gone(block: BlockRef, hashes: Hashes) -> bool:
    """Whether the chain has another block at that height. Not knowing is not enough."""
    return hashes.get(block.number, block.hash) != block.hash


def is_doubtful(books: Books, head: BlockRef, hashes: Hashes) -> bool:
    """Whether the hashes at `young_heights` do not simply continue what we knew: all heights must be asked for."""
    if books.cursor is None:
        return False
    known = [books.cursor, *(row.block for row in books.rows)]
    return head.number < books.cursor.number or any(is_gone(block, hashes) for block in known)


def is_deep(books: Books, hashes: Hashes) -> bool:
    """Whether a checkpoint below the horizon is gone."""
    return books.cursor is not None and any(
        is_gone(checkpoint, hashes)
        for checkpoint in books.checkpoints
        if checkpoint.number <= books.cursor.number - books.horizon
    )


def find_fork(books: Books, head: BlockRef, hashes: Hashes) -> Fork | None:
    """What `head`'s chain no longer contains, or None if the head is merely behind: a stale view, to be refused.

    `hashes` are those at `young_heights`, at `all_heights` if that is doubtful, and then at `deep_heights` if that is
    deep.

    Raises:
        PastGone: it left what we knew below the horizon, and below something that is final.
    """
    cursor = books.cursor
    if cursor is None:
        return Fork(None, tuple(row for row in books.rows if is_gone(row.block, hashes)))
    lowest = cursor.number - books.horizon
    orphaned = [row for row in books.rows if row.block.number > lowest and is_gone(row.block, hashes)]
    gone = [
        checkpoint for checkpoint in books.checkpoints if checkpoint.number > lowest and is_gone(checkpoint, hashes)
    ]
    if head.number < cursor.number:
        if not gone and not orphaned:
            return None
        # What stands above a head on another fork is no ancestor of it either.
        orphaned += [row for row in books.rows if row.block.number > head.number]
    elif not gone:
        return Fork(None, tuple(orphaned))
    standing = _newest_standing(books.checkpoints, head, hashes)
    oldest = books.checkpoints[-1].number
    if standing is None and oldest > lowest:
        return Fork(oldest - 1, tuple(orphaned))
    final = books.newest_final
    if standing is None or (is_deep(books, hashes) and final is not None and hashes.get(final.number) != final.hash):
        depth = cursor.number - (oldest if standing is None else standing.number)
        raise PastGone(head, f"the chain left ours up to {depth} blocks below the cursor: more than {books.horizon}")
    orphaned += [
        row for row in books.rows if standing.number < row.block.number <= lowest and is_gone(row.block, hashes)
    ]
    return Fork(standing.number, tuple(orphaned))


def checkpoints_below(books: Books, head: BlockRef) -> list[BlockRef]:
    """The checkpoints that a head below the cursor may stand on: those within the horizon, and the first below it."""
    known = [each for each in books.checkpoints if each.number <= head.number]
    within = [each for each in known if each.number > head.number - books.horizon]
    return known[: len(within) + 1]


def fall_back(books: Books, head: BlockRef, hashes: Hashes) -> Fork | None:
    """The fork to a head below a cursor that is believed no longer, from `hashes` of `checkpoints_below`, if any."""
    above = tuple(row for row in books.rows if row.block.number > head.number)
    standing = _newest_standing(checkpoints_below(books, head), head, hashes)
    return None if standing is None else Fork(standing.number, above)


def _newest_standing(checkpoints: Sequence[BlockRef], head: BlockRef, hashes: Hashes) -> BlockRef | None:
    known = (each for each in checkpoints if each.number <= head.number)
    return next((each for each in known if hashes.get(each.number) == each.hash), None)


def lowered_floors(books: Books, watchlist: Watchlist, fork: Fork) -> dict[Pair, int]:
    """The floors to lower, so that what the new fork brought is searched for.

    Besides the pairs of void rows, an address first shown on the old fork may be paid on the new one in a block
    that has a lower number than the cursor had then.
    """
    floors: dict[Pair, int] = {}
    for pair in watchlist.pairs:
        floor = books.floor(watchlist.watch_by_address[pair.address], pair.method)
        if fork.fork_number is not None and floor > fork.fork_number:
            floors[pair] = fork.fork_number
    for row in fork.orphaned:
        if (watch := watchlist.watch_by_address.get(row.address)) is not None:
            known = floors.get(row.pair, books.floor(watch, row.method))
            if row.block.number - 1 < known:
                floors[row.pair] = row.block.number - 1
    return floors
