from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paynode.domain.egress import refusal

PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 168.63.129.15
168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0
198.17.255.255 198.20.0.0 223.255.255.255
2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001::1 2001:200::1 3ffe::1
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1 ::8.8.8.8 2001:0:808:808:0:0:f7f7:f7f7
"""

REFUSED = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.10
198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:7f00:1 ::127.0.0.1 ::10.0.0.1 ::2
64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:1:ffff::8.8.8.8 64:ff9b:2::1
2002:7f00:1::1 2002:a00:1:: 2002:a9fe:a9fe::1 2001:0:a00:1:0:0:f7f7:f7f7 2001:0:808:808:0:0:80ff:fffe
100::1 100:0:0:1::1 2001:1::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1 4000::1 5f00::1 fc00::1
fd00:ec2::254 fe80::1 fe80::1%lo febf::1 fec0::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("text", PUBLIC.split())
def test_a_public_address_may_be_contacted(text: str) -> None:
    assert refusal(ip_address(text)) is None


@pytest.mark.parametrize("text", REFUSED.split())
def test_an_address_that_is_not_public_is_refused_with_a_reason(text: str) -> None:
    assert refusal(ip_address(text))


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_no_ipv4_address_passes_that_python_holds_to_be_special(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert refusal(address)


@given(st.integers(0, 2**128 - 1).map(IPv6Address) | st.ip_addresses(v=6))
def test_no_ipv6_address_passes_that_python_holds_to_be_special(address: IPv6Address) -> None:
    carries_ipv4 = address.ipv4_mapped or address.sixtofour or address.teredo or int(address) < 2**32
    if not carries_ipv4 and (not address.is_global or address.is_multicast or address.is_site_local):
        assert refusal(address)


@given(st.ip_addresses(v=4))
def test_an_address_carried_in_ipv6_is_judged_as_it_is_bare(address: IPv4Address) -> None:
    number, expected = int(address), refusal(address)
    public = int(IPv4Address("8.8.8.8"))
    assert refusal(IPv6Address(0xFFFF << 32 | number)) == expected
    assert refusal(IPv6Address(0x64FF9B << 96 | number)) == expected
    assert refusal(IPv6Address(0x2002 << 112 | number << 80)) == expected
    assert refusal(IPv6Address(0x20010000 << 96 | number << 64 | ~public & 0xFFFFFFFF)) == expected
    assert refusal(IPv6Address(0x20010000 << 96 | public << 64 | ~number & 0xFFFFFFFF)) == expected
