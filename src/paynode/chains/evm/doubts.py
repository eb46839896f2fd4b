"""What speaks against a provider only over several looks: that something has been so for too long. I/O: its head.

The one rule: a doubt costs a provider its turn, or tells people; it decides nothing about money. A head that stands
still lets its provider rest, if another one's goes on. One that leaves unproven what is due gives its turn to another.
A cursor that nobody reaches is doubted itself. And the past is gone only by two opinions: of two providers, or, where
there is one, at two heads.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from paynode.chains.jsonrpc import ProviderFailed
from paynode.chains.provider import Provider
from paynode.domain.chain import BlockRef, Books, Observation, confirmations

STUCK_SECONDS = 60  # five blocks of the slowest chain we know
STUCK_BLOCKS = 2  # providers of one chain are often a block or two apart
UNPROVEN_SECONDS = 600  # so long people need not know: providers lag and come back
BEHIND_SECONDS = 600  # so long all providers are behind the cursor before it is doubted: it was one provider's word
AGREED_SECONDS = 600  # what providers said further apart is no agreement: each may have erred once


@dataclass(slots=True)
class Lasting:
    """Since when things are as they are, by trio's clock."""

    _since: dict[str, tuple[str, float]] = field(default_factory=dict)

    def seconds(self, what: str, value: str = "") -> float | None:
        """How long `what` has had this value; None: it has it from now on."""
        known, now = self._since.get(what), trio.current_time()
        if known is not None and known[0] == value:
            return now - known[1]
        self._since[what] = (value, now)
        return None

    def is_longer(self, what: str, seconds: float) -> bool:
        return what in self._since and trio.current_time() - self._since[what][1] > seconds

    def end(self, what: str) -> None:
        self._since.pop(what, None)

    def begin_anew(self, what: str, value: str = "") -> None:
        self._since[what] = (value, trio.current_time())


class Doubts:
    """Those about the providers of one network."""

    def __init__(self, head_number: Callable[[Provider], Awaitable[int]]) -> None:
        self._head_number = head_number
        self._lasting = Lasting()
        self._turn = 0  # whose it is of the others to be the second one
        self._witness_head = 0  # where the second one was when it began to leave unproven what is due
        self._gone_at: dict[tuple[str, str], float] = {}  # by provider and head: when our past was gone there

    def second_of(self, others: Sequence[Provider]) -> Provider | None:
        """Who gives the other opinion."""
        return others[self._turn % len(others)] if others else None

    def is_cursor_doubted(self, asked: Sequence[Provider]) -> bool:
        """Whether several providers, all that can be asked, have been behind the cursor for long."""
        return len(asked) > 1 and all(self._lasting.is_longer(f"behind {each.name}", BEHIND_SECONDS) for each in asked)

    def is_behind(self, provider: Provider) -> None:
        """Note that its head is below the cursor."""
        self._lasting.seconds(f"behind {provider.name}")

    def is_past_gone(self, provider: Provider, head: BlockRef, everybody: Sequence[Provider]) -> bool:
        """Note that our past is gone at that head of it; whether that is everybody's opinion, and more than one."""
        now = trio.current_time()
        self._gone_at[provider.name, head.hash] = now
        opinions = {opinion for opinion, at in self._gone_at.items() if now - at <= AGREED_SECONDS}
        return len(opinions) > 1 and {name for name, _ in opinions} == {each.name for each in everybody}

    async def looked(
        self, primary: Provider, second: Provider | None, everybody: Sequence[Provider], books: Books, seen: Observation
    ) -> str | None:
        """What follows from a look that succeeded; what people should know of it, if anything."""
        for provider in everybody:
            self._lasting.end(f"behind {provider.name}")
        self._gone_at = {opinion: at for opinion, at in self._gone_at.items() if opinion[0] != primary.name}
        await self._doubt_head(primary, second, seen.head)
        return await self._doubt_witness(primary, second, seen, unproven(books, seen))

    async def _doubt_head(self, primary: Provider, second: Provider | None, head: BlockRef) -> None:
        """Let `primary` rest if its head has stood still for long while another provider's went on."""
        lasted = self._lasting.seconds("head", head.hash)
        if lasted is None or lasted <= STUCK_SECONDS or second is None:
            return
        self._lasting.begin_anew("head", head.hash)
        try:
            ahead = await self._head_number(second) - head.number
        except ProviderFailed:
            return
        if ahead > STUCK_BLOCKS:
            primary.degrade(f"its head stands still, {ahead} blocks behind {second.name}")

    async def _doubt_witness(
        self, primary: Provider, second: Provider | None, seen: Observation, due: str | None
    ) -> str | None:
        """Ask another one, if there is one, after `second` has left unproven for long what is due.

        It rests if its head has stood still meanwhile. Only then: what a head that goes on has not reached, or a
        provider does not know, may be what `primary` made up, and at rest it could not contradict.
        """
        if second is None or due is None:
            self._lasting.end("unproven")
            self._lasting.end("unproven by one")
            return None
        lasted = self._lasting.seconds("unproven by one", second.name)
        if lasted is None or lasted > STUCK_SECONDS:
            await self._ask_witness(primary, second, seen.head, is_first=lasted is None)
        lasted = self._lasting.seconds("unproven")
        is_long = lasted is not None and lasted > UNPROVEN_SECONDS
        return f"{second.name} does not prove {due}" if is_long else None

    async def _ask_witness(self, primary: Provider, second: Provider, head: BlockRef, *, is_first: bool) -> None:
        try:
            number = await self._head_number(second)
        except ProviderFailed:
            if is_first:
                self._lasting.end("unproven by one")
            return
        before, self._witness_head = self._witness_head, number
        if is_first:
            return
        self._lasting.begin_anew("unproven by one", second.name)
        self._turn += 1
        behind = head.number - number
        if before == number and behind > STUCK_BLOCKS:
            second.degrade(f"its head stands still, {behind} blocks behind {primary.name}")


def unproven(books: Books, seen: Observation) -> str | None:
    """What is deep enough, and nothing speaks against it, and yet nobody else has proven it; for people."""
    if seen.hold is not None:
        return None
    depth_by_address = {watch.address: watch.depth for watch in books.watches}
    settled = {*seen.confirmed, *seen.voided, *seen.dropped}
    due = [
        row
        for row in books.rows
        if not row.confirmed and row.id not in settled and row.pair not in seen.disputes
        if confirmations(row.block.number, seen.head.number) >= depth_by_address.get(row.address, seen.head.number + 1)
    ]
    if due:
        row = min(due, key=lambda row: row.block.number)
        return f"{row.units} units of {row.method} in block {row.block.number}"
    deadline = books.passed_deadline
    if deadline is not None and (seen.agreed_until is None or seen.agreed_until <= deadline):
        return f"a block past {deadline:%Y-%m-%d %H:%M:%S} UTC, when an invoice expires"
    return None
