"""Which of what we know is still on the chain. Pure.

A row is void only if its own block is no ancestor of the head; checkpoints are
walked down to the newest that is. Below the horizon nothing is followed: the
network stops and a human decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from paynode.chains.base import DeepReorg
from paynode.chains.evm.watchlist import Watchlist
from paynode.domain.chain import BlockRef, Books, Pair, Row

Hashes = Mapping[int, str]  # by height, of the head's own chain; a height that is missing is not known


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


def is_gone(block: BlockRef, hashes: Hashes) -> bool:
    """Whether the chain has another block at that height. Not knowing is not enough."""
    return hashes.get(block.number, block.hash) != block.hash


def is_doubtful(books: Books, head: BlockRef, hashes: Hashes) -> bool:
    """Whether the hashes at `young_heights` do not simply continue what we knew: all heights must be asked for."""
    if books.cursor is None:
        return False
    known = [books.cursor, *(row.block for row in books.rows)]
    return head.number < books.cursor.number or any(is_gone(block, hashes) for block in known)


def find_fork(books: Books, head: BlockRef, hashes: Hashes) -> Fork | None:
    """What `head`'s chain no longer contains, or None if the head is merely behind: a stale view, to be refused.

    `hashes` are those at `young_heights`, and at `all_heights` if that is doubtful.

    Raises:
        DeepReorg: no checkpoint within the horizon is on the head's chain.
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
    for checkpoint in books.checkpoints:
        if checkpoint.number <= head.number and hashes.get(checkpoint.number) == checkpoint.hash:
            return Fork(checkpoint.number, tuple(orphaned))
        if checkpoint.number <= lowest:
            depth = cursor.number - checkpoint.number
            raise DeepReorg(f"block {checkpoint.number} is gone, {depth} below the cursor: more than {books.horizon}")
    return Fork(books.checkpoints[-1].number - 1, tuple(orphaned))


def checkpoints_below(books: Books, head: BlockRef) -> list[BlockRef]:
    """The checkpoints that a head below the cursor may stand on: those within the horizon, and the first below it."""
    known = [each for each in books.checkpoints if each.number <= head.number]
    within = [each for each in known if each.number > head.number - books.horizon]
    return known[: len(within) + 1]


def fall_back(books: Books, head: BlockRef, hashes: Hashes) -> Fork | None:
    """The fork to a head below a cursor that is believed no longer, from `hashes` of `checkpoints_below`, if any."""
    above = tuple(row for row in books.rows if row.block.number > head.number)
    standing = (each for each in checkpoints_below(books, head) if hashes.get(each.number) == each.hash)
    return next((Fork(each.number, above) for each in standing), None)


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
