"""Who a request is counted as: behind proxies, and in memory of a bounded size."""

import ipaddress

import pytest
import trio
from trio.testing import MockClock

from paynode.api import throttle
from paynode.api.clients import client_address
from paynode.api.throttle import Standing, Throttle, client_name

TRUSTED = [ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # an untrusted peer may say what it likes
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.7", "198.51.100.1"),  # the right-most untrusted hop
        ("127.0.0.1", "1.1.1.1, nonsense, 10.0.0.7", "10.0.0.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "10.0.0.1,10.0.0.2", "10.0.0.1"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("127.0.0.1", ",".join(["1.1.1.1"] + ["10.0.0.1"] * 50), "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_client_is_the_right_most_hop_that_is_no_trusted_proxy(peer: str, forwarded: str, expected: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == expected


def test_a_customers_ipv6_addresses_count_as_one() -> None:
    assert client_name("2001:db8:1:2::3") == client_name("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert client_name("2001:db8:1:3::3") != client_name("2001:db8:1:2::3")
    assert client_name("203.0.113.9") == "203.0.113.9"
    assert client_name("unix") == "unix"


async def test_a_throttle_allows_a_burst_and_then_one_per_interval(mock_clock: MockClock) -> None:
    limit = Throttle("test", burst=3, interval_seconds=10)

    def waits(name: str, times: int = 1) -> list[int]:
        return [limit.take(name).wait_seconds for _ in range(times)]

    assert waits("a", 4) == [0, 0, 0, 10]
    assert waits("b") == [0]
    mock_clock.jump(4)
    assert waits("a") == [6]
    mock_clock.jump(6)
    assert waits("a", 2) == [0, 10]
    mock_clock.jump(1000)
    assert waits("a", 4) == [0, 0, 0, 10]


async def test_a_throttle_tells_how_much_is_left(mock_clock: MockClock) -> None:
    limit = Throttle("test", burst=3, interval_seconds=10)
    assert [limit.take("a") for _ in range(4)] == [
        Standing(remaining=2, resets_in=10, wait_seconds=0),
        Standing(remaining=1, resets_in=20, wait_seconds=0),
        Standing(remaining=0, resets_in=30, wait_seconds=0),
        Standing(remaining=0, resets_in=30, wait_seconds=10),
    ]
    mock_clock.jump(25)
    standing = limit.take("a")
    assert standing == Standing(remaining=1, resets_in=15, wait_seconds=0)
    assert limit.headers(standing) == {"RateLimit-Policy": '"test";q=3;w=30', "RateLimit": '"test";r=1;t=15'}


async def test_a_throttle_forgets_the_name_longest_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "NAMES_MAX", 2)
    limit = Throttle("test", burst=1, interval_seconds=100)
    limit.take("a")
    limit.take("b")
    assert limit.take("a").wait_seconds > 0
    limit.take("c")
    assert limit.take("a").wait_seconds > 0
    assert limit.take("b").wait_seconds == 0
    assert trio.current_time() > 0
