"""Where a request comes from: the socket's peer, or what proxies say that the config trusts."""

import ipaddress
from collections.abc import Iterable, Sequence

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS_MAX = 16  # more proxies than anybody has


def client_address(peer: str, forwarded: str, trusted: Sequence[IPNetwork]) -> str:
    """The right-most address that is not a trusted proxy's. `forwarded` is X-Forwarded-For, '' without one.

    Whatever stands further left was written by somebody we do not trust.
    """
    nearest = _parse(peer)
    if nearest is None:
        return peer
    for hop in reversed(forwarded.split(",")[-HOPS_MAX:]):
        if not _is_in(nearest, trusted):
            break
        parsed = _parse(hop.strip())
        if parsed is None:
            break
        nearest = parsed
    return str(nearest)


def _parse(text: str) -> IPAddress | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_in(address: IPAddress, networks: Iterable[IPNetwork]) -> bool:
    return any(address in network for network in networks)
