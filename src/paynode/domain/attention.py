"""Whose checkout pages are open now: their payers wait to see their money arrive.

Kept in memory. Losing it costs a few seconds; it is bounded, and no page, open as it may be for ever, is worth more
than a quarter of an hour of quick looks for each of its methods.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

OPEN_SECONDS = 20.0  # a page asks again every few seconds while it is open
ATTENTION_SECONDS_MAX = 900.0  # of one invoice's method, from when it was first shown
PAGES_MAX = 10_000  # the one longest closed is forgotten first


@dataclass(slots=True)
class _Page:
    network: str
    opened_at: float
    seen_at: float


class Attention:
    """Which networks somebody waits for, in front of a page."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` tells seconds that only grow."""
        self._clock = clock
        self._pages: dict[tuple[str, str], _Page] = {}  # by invoice and method, last seen last

    def seen(self, invoice_id: str, network_by_method: Iterable[tuple[str, str]]) -> bool:
        """Note that somebody looks at an invoice's (method, network); tells whether one of them is new."""
        now, is_new = self._clock(), False
        for method, network in network_by_method:
            page = self._pages.pop((invoice_id, method), None)
            is_new |= page is None
            self._pages[invoice_id, method] = _Page(network, now if page is None else page.opened_at, now)
        while len(self._pages) > PAGES_MAX:
            del self._pages[next(iter(self._pages))]
        return is_new

    def is_on(self, network: str) -> bool:
        """Whether somebody waits in front of a page for money on `network`."""
        now = self._clock()
        for page in reversed(self._pages.values()):
            if now - page.seen_at > OPEN_SECONDS:
                return False
            if page.network == network and now - page.opened_at <= ATTENTION_SECONDS_MAX:
                return True
        return False
