"""Which addresses and names we contact at a user's wish: public ones, and no others.

Python's `is_private` and `is_global` are not enough: they let 100.64.0.0/10,
site-local and the IPv6 forms that carry an IPv4 address through. So the table is
spelled out, and what is carried is unwrapped first.
"""

import ipaddress

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry, and what they leave out.
REFUSED_NETWORKS: tuple[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str], ...] = tuple(
    (ipaddress.ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this network (RFC 791)"),
        ("10.0.0.0/8", "private use (RFC 1918)"),
        ("100.64.0.0/10", "carrier-grade NAT (RFC 6598)"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("168.63.129.16/32", "a cloud platform's own services (Azure), though the address looks public"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private use (RFC 1918)"),
        ("192.0.0.0/24", "IETF protocol assignments (RFC 6890)"),
        ("192.0.2.0/24", "documentation (RFC 5737)"),
        ("192.88.99.0/24", "6to4 relay anycast (RFC 7526)"),
        ("192.168.0.0/16", "private use (RFC 1918)"),
        ("198.18.0.0/15", "benchmarking (RFC 2544)"),
        ("198.51.100.0/24", "documentation (RFC 5737)"),
        ("203.0.113.0/24", "documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("255.255.255.255/32", "broadcast (RFC 919)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
        ("::/128", "unspecified (RFC 4291)"),
        ("::1/128", "loopback (RFC 4291)"),
        ("64:ff9b:1::/48", "local-use NAT64 (RFC 8215)"),
        ("100::/64", "discard-only (RFC 6666)"),
        ("2001::/23", "IETF protocol assignments (RFC 2928)"),
        ("2001:db8::/32", "documentation (RFC 3849)"),
        ("3fff::/20", "documentation (RFC 9637)"),
        ("fc00::/7", "unique local (RFC 4193)"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)
LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})  # and Debian's
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that IANA has opened of IPv6 (RFC 4291)
V4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291
V4_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")  # RFC 3056
TEREDO = ipaddress.IPv6Network("2001::/32")  # RFC 4380


def refusal(address: IPAddress) -> str | None:
    """Why we will not contact `address`, or None if it is a public one.

    An IPv6 address that carries an IPv4 one is judged by what it carries, since
    that is where the packet ends up.
    """
    if isinstance(address, ipaddress.IPv6Address):
        number = int(address)
        if address in TEREDO:  # the server in the clear, the client's address inverted
            server, client = number >> 64 & 0xFFFFFFFF, ~number & 0xFFFFFFFF
            return refusal(ipaddress.IPv4Address(server)) or refusal(ipaddress.IPv4Address(client))
        if address in SIX_TO_FOUR:
            return refusal(ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF))
        if address in V4_MAPPED or address in NAT64 or (address in V4_COMPATIBLE and number > 1):
            return refusal(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    for network, reason in REFUSED_NETWORKS:
        if address in network:
            return reason
    if address.version == 6 and address not in GLOBAL_UNICAST:
        return "not global unicast (RFC 4291)"
    return None


def name_refusal(name: str) -> str | None:
    """Why we will not contact what this name leads to, if the name alone tells; else its addresses will."""
    plain = name.lower().removesuffix(".")
    return "loopback (RFC 6761)" if plain in LOOPBACK_NAMES or plain.endswith(".localhost") else None
