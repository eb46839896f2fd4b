"""Where more than one provider says that the chain is. I/O.

The cursor is one provider's word as long as no payment is due. So what passes by the chain's time alone, a deadline,
is judged by a block that another provider has, too, with the same time. And now and then it is asked for one in any
case, so that a fork on which nothing happens to us is noticed. A head from the future needs another one there, too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import trio

from paynode.chains.evm.fork import Fork
from paynode.chains.evm.sight import Sight
from paynode.chains.evm.views import Views
from paynode.chains.evm.wire import Block
from paynode.chains.jsonrpc import ProviderFailed
from paynode.domain.chain import AHEAD_MAX, BlockRef, confirmations

ASKED_SECONDS, ASKED_SECONDS_IDLE = 600.0, 3600.0  # how often another one is asked, and how often while nobody waits


class WrongTime(ProviderFailed):
    """The head is dated later than it is, by our clock and by another provider's head."""


class OurTime:
    """Our clock, as it was at the start and went on since: to set it back makes no head one of the future."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._began: tuple[datetime, float] | None = None

    def latest(self) -> datetime:
        """How late it may be."""
        now, ticks = self._clock(), trio.current_time()
        if self._began is None:
            self._began = now, ticks
        return max(now, self._began[0] + timedelta(seconds=ticks - self._began[1]))


@dataclass(slots=True)
class Agreement:
    """What other providers said of our chain, by name."""

    asked_at: dict[str, float] = field(default_factory=dict)  # of trio's clock
    newest: dict[str, BlockRef] = field(default_factory=dict)  # that they had, too


async def find_split(sight: Sight, views: Views, fork: Fork, agreement: Agreement) -> str | None:
    """Why the other provider is on another chain, for people."""
    books, second, now = sight.books, views.second, trio.current_time()
    if second is None or books.cursor is None or fork.fork_number is not None:
        return None
    asked_at = agreement.asked_at.get(second.name, -float("inf"))
    if now - asked_at < (ASKED_SECONDS if books.is_awaited else ASKED_SECONDS_IDLE):
        return None
    settled = books.cursor.number - books.horizon // 4  # where providers differ no longer for a block or two
    block = next((each for each in books.checkpoints if each.number <= settled), books.cursor)
    told = await _told(views, block)
    if told is not None and told.header.hash != block.hash:
        return f"{second.name} has another block {block.number} than {views.primary.name}"
    if told is not None:
        agreement.asked_at[second.name] = now
    return None


async def agreed_until(
    sight: Sight, views: Views, fork: Fork, checkpoint: BlockRef | None, depth: int, agreement: Agreement
) -> datetime | None:
    """Up to which time of the chain deadlines may be judged; None: not further than before.

    Asks only when one has passed. While the other provider is away, our own may vouch for itself, at twice the depth.
    """
    books, second = sight.books, views.second
    if views.is_alone:
        return None if checkpoint is None else checkpoint.at
    if second is None:
        deep = (each for each in books.checkpoints if confirmations(each.number, sight.head.number) >= 2 * depth)
        return next((each.at for each in deep), None)
    if fork.fork_number is not None:
        agreement.newest.clear()
    if books.cursor is None or fork.fork_number is not None:
        return None
    newest = agreement.newest.get(second.name)
    if books.passed_deadline is not None and (newest is None or newest.at <= books.passed_deadline):
        told = await _told(views, books.cursor)
        if told is not None and told.ref == books.cursor:
            newest = agreement.newest[second.name] = books.cursor
    return None if newest is None else newest.at


async def doubt_time(head: BlockRef, views: Views, our_time: datetime) -> None:
    """Have the other provider vouch for a head that is from the future, if there is one; our clock may be wrong.

    Raises:
        WrongTime: it does not.
    """
    if views.second is None or head.at <= our_time + AHEAD_MAX:
        return
    other = (await views.second.head()).ref
    if other.at < head.at - AHEAD_MAX:
        ahead = head.at - our_time.replace(microsecond=0)
        raise WrongTime(
            views.primary.name, f"its head is dated {ahead} after our clock, and not so {views.second.name}'s"
        )


async def _told(views: Views, block: BlockRef) -> Block | None:
    """What the second provider has at the height of `block`, if it says."""
    assert views.second is not None, "there is nobody else to ask"
    told: Block | None = None
    with views.sparing_the_second():
        (told,) = await views.second.blocks_by_number([block.number])
    return told
