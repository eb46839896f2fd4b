"""How often somebody may do something, in memory of a bounded size."""

import ipaddress
from math import ceil

import trio

NAMES_MAX = 10_000  # the one longest unused is forgotten first; about 2 MB


class Throttle:
    """Allows each name `burst` at once and then one every `interval_seconds`.

    Per name it keeps one number, the moment when all it did is paid off: the generic cell rate algorithm of
    https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.
    """

    def __init__(self, burst: int, interval_seconds: float) -> None:
        self._interval = interval_seconds
        self._slack = (burst - 1) * interval_seconds
        self._paid_off_by_name: dict[str, float] = {}

    def take(self, name: str) -> int:
        """Count one; returns 0, or how many seconds to wait if that was one too many (it is not counted then)."""
        now = trio.current_time()
        paid_off = max(self._paid_off_by_name.pop(name, now), now)
        wait = paid_off - now - self._slack
        self._paid_off_by_name[name] = paid_off if wait > 0 else paid_off + self._interval
        if len(self._paid_off_by_name) > NAMES_MAX:
            del self._paid_off_by_name[next(iter(self._paid_off_by_name))]
        return ceil(wait) if wait > 0 else 0


def client_name(address: str) -> str:
    """Whom to count an address as: itself, but of IPv6 the /64, which is what one customer gets (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return address
