from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.fetch.addresses import CLOSED_IPV4, CLOSED_IPV6, NAT64, OPEN_IPV6, is_public, may_be_dialled, parse

BAD = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1",
    "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1",
    "172.31.255.255", "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "64:ff9b:1::808:808", "100::1", "100:0:0:1::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:a00:1::", "2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fdff::1", "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "4000::1", "1fff::1", "8000::1",
]  # fmt: skip

GOOD = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.1", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255",
    "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::808:808", "2001:200::1", "2001:4860:4860::8888",
    "2003::1", "2606:4700:4700::1111", "2a00::1", "3ffe::1",
]  # fmt: skip

ipv4 = st.integers(0, 2**32 - 1).map(IPv4Address)
ipv6 = st.integers(0, 2**128 - 1).map(IPv6Address)
global_ipv6 = st.integers(0, 2**125 - 1).map(lambda low: IPv6Address(int(OPEN_IPV6.network_address) | low))


@pytest.mark.parametrize("text", BAD)
def test_refused(text: str) -> None:
    assert not may_be_dialled(ip_address(text))


@pytest.mark.parametrize("text", GOOD)
def test_public(text: str) -> None:
    assert may_be_dialled(ip_address(text))


@pytest.mark.parametrize("network", [*CLOSED_IPV4, *CLOSED_IPV6], ids=str)
def test_networks_are_closed_from_their_first_to_their_last_address(network) -> None:
    assert not is_public(network.network_address)
    assert not is_public(network.broadcast_address)


@given(ipv4)
def test_an_ipv4_address_gets_one_answer_however_it_is_written(address: IPv4Address) -> None:
    mapped = IPv6Address(0xFFFF_0000_0000 | int(address))
    through_gateway = IPv6Address(int(NAT64.network_address) | int(address))
    assert is_public(mapped) == is_public(through_gateway) == is_public(address)


@given(ipv4)
def test_no_other_way_to_write_an_ipv4_address_inside_ipv6_is_public(address: IPv4Address) -> None:
    number = int(address)
    assert not is_public(IPv6Address(number)), "compatible"
    assert not is_public(IPv6Address(0x2002 << 112 | number << 80)), "6to4"
    assert not is_public(IPv6Address(0x2001 << 112 | number ^ 0xFFFF_FFFF)), "Teredo"
    assert not is_public(IPv6Address(0x0064_FF9B_0001 << 80 | number)), "local NAT64"
    assert not is_public(IPv6Address(0xFFFF_0000_0000_0000 | number)), "translated"


@given(st.one_of(ipv4, global_ipv6))
def test_what_is_public_here_is_nothing_special_to_python(address: IPv4Address | IPv6Address) -> None:
    if is_public(address):
        special = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast)
        assert not any((*special, address.is_reserved, address.is_unspecified))


@given(ipv6.filter(lambda address: address not in OPEN_IPV6))
def test_ipv6_outside_global_unicast_is_closed_but_for_embedded_addresses(address: IPv6Address) -> None:
    embedded = address.ipv4_mapped is not None or address in NAT64
    assert embedded or not is_public(address)


@given(ipv4, st.integers(8, 32))
def test_an_allowed_network_opens_itself_and_nothing_else(address: IPv4Address, length: int) -> None:
    network = ip_network((int(address), length), strict=False)
    assert may_be_dialled(address, [network])
    outside = IPv4Address((int(address) ^ 1 << 32 - length) & 0xFFFF_FFFF)
    assert may_be_dialled(outside, [network]) == is_public(outside)


def test_an_allowed_network_holds_for_mapped_but_not_for_translated_addresses() -> None:
    allowed = [ip_network("10.0.0.0/8")]
    assert may_be_dialled(ip_address("::ffff:10.1.2.3"), allowed)
    assert not may_be_dialled(ip_address("64:ff9b::a01:203"), allowed)
    assert may_be_dialled(ip_address("fd00::1"), [ip_network("fd00::/8")])


@pytest.mark.parametrize("text", ["fe80::1%eth0", "localhost", "", "127.1", "1.2.3.4.5", "[::1]", "0x7f.1"])
def test_only_plain_addresses_are_parsed(text: str) -> None:
    assert parse(text) is None
