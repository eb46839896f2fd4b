"""Parsers of single values: each takes what TOML held and returns it typed and within bounds, or raises `Wrong`."""

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from paynode.config.mistakes import Wrong
from paynode.domain.durations import format_duration, parse_duration
from paynode.domain.money import NotAnAmount, parse_decimal
from paynode.domain.quote import Price

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

URL_LENGTH_MAX = 2048
DECIMALS_MAX = 36  # of any coin or rate; the most seen in earnest is 18

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PRICE = re.compile(r"([0-9.]{1,30}) ([A-Z]{3})")


def text(value: object) -> str:
    """A line of text, as people may see it."""
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable() or value != value.strip():
        raise Wrong("is not a line of text", 'Write 1 to 200 printable characters in quotes, e.g. "My shop"')
    return value


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong("is neither true nor false", "Write true or false, without quotes")
    return value


def whole(low: int, high: int) -> Callable[[object], int]:
    """A whole number from `low` to `high`."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Wrong(f"is not a whole number from {low} to {high}", "Write a number in that range, without quotes")
        return value

    return parse


def one_of(choices: type[E]) -> Callable[[object], E]:
    """One of an enumeration's values."""

    def parse(value: object) -> E:
        for choice in choices:
            if value == choice.value:
                return choice
        raise Wrong("is not one of its possible values", f"Write one of {', '.join(choices)}, in quotes")

    return parse


def duration(low: timedelta, high: timedelta) -> Callable[[object], timedelta]:
    """A duration from `low` to `high`."""

    def parse(value: object) -> timedelta:
        parsed = parse_duration(value) if isinstance(value, int | str) else None
        if parsed is None:
            raise Wrong("is not a duration", 'Write seconds (900) or a text such as "15m", "2h45m", "7d" or "PT15M"')
        if not low <= parsed <= high:
            problem = f"is not between {format_duration(low)} and {format_duration(high)}"
            raise Wrong(problem, "Write a duration in that range")
        return parsed

    return parse


def decimal(low: Decimal, high: Decimal, decimals_max: int = DECIMALS_MAX) -> Callable[[object], Decimal]:
    """An exact number from `low` to `high`: text, or a bare TOML number, which is never read as a float."""

    def parse(value: object) -> Decimal:
        number = str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
        if not isinstance(number, str):
            raise Wrong("is not a number", 'Write a decimal number in quotes, e.g. "1.5"')
        try:
            parsed = parse_decimal(number, decimals_max=decimals_max)
        except NotAnAmount as error:
            raise Wrong(str(error), 'Write a plain decimal number in quotes, e.g. "1.5"') from None
        if not low <= parsed <= high:
            raise Wrong(f"is not between {low:f} and {high:f}", "Write a number in that range")
        return parsed

    return parse


def price(value: object) -> Price:
    """An amount with its currency: "20 USD"."""
    match = _PRICE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Wrong("is not an amount with its currency", 'Write a number, a blank and a currency: "20 USD"')
    return Price(decimal(Decimal(0), Decimal(10**12))(match[1]), match[2])


def list_of(parse_item: Callable[[object], T], *, length_max: int = 32) -> Callable[[object], tuple[T, ...]]:
    """A list whose items `parse_item` accepts."""

    def parse(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) > length_max:
            raise Wrong(f"is not a list of at most {length_max}", 'Write [ "first", "second" ]')
        items, wrongs = [], []
        for position, item in enumerate(value, start=1):
            try:
                items.append(parse_item(item))
            except Wrong as wrong:
                wrongs.append(Wrong(f"item {position} {wrong.problem}", wrong.remedy))
        if wrongs:
            remedies = dict.fromkeys(wrong.remedy for wrong in wrongs)
            raise Wrong("; ".join(wrong.problem for wrong in wrongs), ". ".join(remedies))
        return tuple(items)

    return parse


def listen_address(value: object) -> str:
    """`host:port` to listen on: an IP address of this machine or localhost; port 0 lets the system choose."""
    host, port = _host_and_port(value, 'Write "127.0.0.1:8080" or "[::1]:8080"')
    if host != "localhost" and _ip_address(host) is None:
        raise Wrong("does not name this machine by an IP address", 'Write "127.0.0.1:8080" or "0.0.0.0:8080"')
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def target(value: object) -> str:
    """`host:port` of another machine."""
    host, port = _host_and_port(value, 'Write a host and its port: "192.168.1.10:8000"')
    if port == 0:
        raise Wrong("has port 0, on which nobody listens", "Write the port the shop listens on")
    return f"[{host}]:{port}" if ":" in host else f"{host.lower()}:{port}"


def proxy_network(value: object) -> IPNetwork:
    """The addresses of reverse proxies whose forwarded headers are believed."""
    try:
        network = ipaddress.ip_network(value) if isinstance(value, str) else None
    except ValueError:
        network = None
    if network is None:
        raise Wrong("is not a range of IP addresses", 'Write "127.0.0.1/32" or "10.0.0.0/8"')
    if network.prefixlen == 0:
        raise Wrong("trusts every address, so anybody could claim any", "Name only your reverse proxy's addresses")
    return network


def http_url(value: object, *, remedy: str) -> SplitResult:
    """An http or https URL that names no user and no fragment, parsed."""
    if not isinstance(value, str) or len(value) > URL_LENGTH_MAX or not value.isascii() or not value.isprintable():
        raise Wrong("is not a URL", remedy)
    if " " in value or "\\" in value:  # urlsplit forgives both, servers do not
        raise Wrong("is not a URL", remedy)
    try:
        url = urlsplit(value)
        port = url.port
    except ValueError:
        raise Wrong("is not a URL", remedy) from None
    host = url.hostname or ""
    if url.scheme not in ("http", "https") or port == 0 or not (_HOST.fullmatch(host) or _ip_address(host)):
        raise Wrong("is not an http or https URL", remedy)
    if "@" in url.netloc:
        raise Wrong("has a user name or password in it", "Remove it; secrets do not belong into this file")
    if "#" in value:
        raise Wrong("has a fragment (#)", remedy)
    return url


def base_url(value: object) -> str:
    """A URL that others are appended to, without the slash at its end."""
    url = http_url(value, remedy='Write it like "https://pay.example.com"')
    if url.query or "?" in url.geturl():
        raise Wrong("has a query (?)", 'Write it like "https://pay.example.com"')
    return url.geturl().rstrip("/")


def origin(value: object) -> str:
    """A web page's origin, as browsers write it in the Origin header: scheme and host, and a port that is not usual."""
    remedy = 'Write it like "https://shop.example.com", without a path'
    url = http_url(value, remedy=remedy)
    written = f"{url.scheme}://{url.netloc.lower()}"
    if url.geturl() != written or written.endswith((f":{80 if url.scheme == 'http' else 443}", ":")):
        raise Wrong("is not an origin", remedy)
    return written


def _host_and_port(value: object, remedy: str) -> tuple[str, int]:
    written, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    is_bracketed = written.startswith("[") and written.endswith("]")
    host = written[1:-1] if is_bracketed else written
    address = _ip_address(host)
    is_host = address is not None and address.version == 6 if is_bracketed else _HOST.fullmatch(host) is not None
    if not colon or not is_host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise Wrong("is not host:port", remedy)
    return host, int(port)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
