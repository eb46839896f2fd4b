"""How often somebody may do something, in memory of a bounded size."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import trio

NAMES_MAX = 10_000  # the one longest unused is forgotten first; about 2 MB


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands after one more request."""

    remaining: int  # that they may make at once
    resets_in: int  # seconds, until they may make all of the burst at once again
    wait_seconds: int  # 0: it was counted; else it was one too many, and may be made again after as many


class Throttle:
    """Allows each name `burst` at once and then one every `interval_seconds`.

    Per name it keeps one number, the moment when all it did is paid off: the generic cell rate algorithm of
    https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.
    """

    def __init__(self, policy: str, burst: int, interval_seconds: float) -> None:
        self._policy = policy
        self._burst = burst
        self._interval = interval_seconds
        self._paid_off_by_name: dict[str, float] = {}

    def take(self, name: str) -> Standing:
        """Count one, unless it is one too many."""
        now = trio.current_time()
        paid_off = max(self._paid_off_by_name.pop(name, now), now)
        wait = paid_off - now - (self._burst - 1) * self._interval
        if wait <= 0:
            paid_off += self._interval
        self._paid_off_by_name[name] = paid_off
        if len(self._paid_off_by_name) > NAMES_MAX:
            del self._paid_off_by_name[next(iter(self._paid_off_by_name))]
        owed = paid_off - now
        # Rounded, since a sum of intervals is a hair off.
        remaining = max(0, int(round(self._burst - owed / self._interval, 6)))
        return Standing(remaining, ceil(owed), ceil(wait) if wait > 0 else 0)

    def headers(self, standing: Standing) -> Mapping[str, str]:
        """What tells a caller how it stands: draft-ietf-httpapi-ratelimit-headers-10."""
        window = ceil(self._burst * self._interval)
        return {
            "RateLimit-Policy": f'"{self._policy}";q={self._burst};w={window}',
            "RateLimit": f'"{self._policy}";r={standing.remaining};t={standing.resets_in}',
        }


def client_name(address: str) -> str:
    """Whom to count an address as: itself, but of IPv6 the /64, which is what one customer gets (RFC 6177)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return address
