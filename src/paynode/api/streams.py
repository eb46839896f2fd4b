"""Answers that go on: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

A stream is a `Look`: a function that the gate calls in a transaction that reads, at once and whenever one of the bells
rings that it named, and that says what there is to tell. It keeps its place itself: nothing is queued for a client who
is slow, and nobody polls. Between two looks the gate sends a sign of life and asks whether the caller may still listen.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import trio

from paynode.api.node import ApiNode
from paynode.store.database import Tx

EVENT_STREAM = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
SETTLE_SECONDS = 0.05  # what happens within it is told together; a burst costs each stream one look, not one each
RETRY_MS = 3000  # how soon a browser comes back once it has lost us


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event."""

    name: str
    data: bytes  # JSON, so in one line
    id: str | None = None  # what `Last-Event-ID` will say

    def written(self) -> bytes:
        head = f"event: {self.name}\n" if self.id is None else f"id: {self.id}\nevent: {self.name}\n"
        return head.encode() + b"data: " + self.data + b"\n\n"


@dataclass(frozen=True, slots=True)
class News:
    """What a look found."""

    messages: Sequence[Message] = ()
    bells: Sequence[str] = ()  # those worth another look
    has_more: bool = False  # look again at once
    is_over: bool = False  # there will never be more


Look = Callable[[Tx, datetime], News]


class Places:
    """How many streams may be open, for one name and in all: each holds a connection, and connections are few."""

    def __init__(self, per_name: int, total: int) -> None:
        self._per_name = per_name
        self._total = total
        self._count_by_name: dict[str, int] = {}

    def has_room(self, name: str) -> bool:
        return self._count_by_name.get(name, 0) < self._per_name and sum(self._count_by_name.values()) < self._total

    @contextmanager
    def taken(self, name: str) -> Iterator[None]:
        """One place, until the stream ends."""
        self._count_by_name[name] = self._count_by_name.get(name, 0) + 1
        try:
            yield
        finally:
            self._count_by_name[name] -= 1
            if not self._count_by_name[name]:
                del self._count_by_name[name]


async def flow(
    node: ApiNode, look: Look, places: Places, name: str, *, may_go_on: Callable[[], bool], ends_by: Sequence[str] = ()
) -> AsyncGenerator[bytes, None]:
    """The bytes of a stream, until it is over, its caller may no longer listen, or the node stops.

    `ends_by` are bells after which the answer of `may_go_on` may be another. A client who goes away cancels it.
    """
    if not places.has_room(name):
        return  # another request took the last place since this one was admitted
    with places.taken(name):
        yield f"retry: {RETRY_MS}\n\n".encode()  # at once, since the head of the answer waits for its body
        sign_of_life_at = trio.current_time() + HEARTBEAT_SECONDS
        while may_go_on() and not node.stopping.is_set():
            news = node.database.read(look, node.clock())
            if news.messages:
                yield b"".join(message.written() for message in news.messages)
                sign_of_life_at = trio.current_time() + HEARTBEAT_SECONDS
            if news.is_over:
                return
            if news.messages or news.has_more:
                continue  # a bell may have rung while that was sent
            if await _rung(node, [*news.bells, *ends_by], seconds=sign_of_life_at - trio.current_time()):
                await trio.sleep(SETTLE_SECONDS)
            if trio.current_time() >= sign_of_life_at:
                yield b": still here\n\n"
                sign_of_life_at = trio.current_time() + HEARTBEAT_SECONDS


async def _rung(node: ApiNode, bells: Sequence[str], *, seconds: float) -> bool:
    """Wait for a bell, but not once the node stops; tells whether one rang."""
    is_rung = False
    async with trio.open_nursery() as nursery:

        async def until_stopping() -> None:
            await node.stopping.wait()
            nursery.cancel_scope.cancel()

        nursery.start_soon(until_stopping)
        is_rung = await node.database.bells.wait(*bells, seconds=seconds)
        nursery.cancel_scope.cancel()
    return is_rung
