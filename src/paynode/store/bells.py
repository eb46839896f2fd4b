"""Wake-up calls inside the process. Losing one costs a poll, nothing more: rows are the truth."""

import trio

EVENTS = "events"  # one was written
DELIVERIES = "deliveries"  # one is due
OUTGOING = "outgoing"  # something is to be signed or sent
SCREENING = "screening"  # a deposit came, and somebody is to be asked about its senders
RATES = "rates"  # a price in a new currency was asked for
CLOCK = "clock"  # it was moved on: what goes by it may be due
WATCHES = "watches"  # an address was issued, or somebody asks: look soon


def about(subject: str) -> str:
    """Something was announced about this very object, or it changed."""
    return f"about {subject}"


def head_of(network: str) -> str:
    """The network was looked at: blocks may stand on a deposit that did not before."""
    return f"head of {network}"


class Bells:
    """Named bells: many may wait for one; whoever rings never waits."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[trio.Event]] = {}

    def ring(self, name: str) -> None:
        for event in self._waiting.pop(name, ()):
            event.set()

    async def wait(self, *names: str, seconds: float) -> bool:
        """Wait until one of the bells rings, at most `seconds`; tells whether one did."""
        event = trio.Event()
        for name in names:
            self._waiting.setdefault(name, set()).add(event)
        try:
            with trio.move_on_after(seconds):
                await event.wait()
        finally:
            for name in names:
                if (waiting := self._waiting.get(name)) is not None:
                    waiting.discard(event)
                    if not waiting:
                        del self._waiting[name]
        return event.is_set()
