"""Which addresses belong to the public internet, by a list of our own that does not change with Python.

``ipaddress.is_global`` differs between patch releases of Python and lets multicast, the metadata addresses
of clouds, and addresses through which a gateway reaches private ones pass. Here everything is refused that
is not known to be public: of IPv6 only the global unicast block is open, less what is set aside in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA IPv4 Special-Purpose Address Registry, multicast, the reserved class E, and the addresses inside
# clouds that look public.
CLOSED_IPV4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' shared space; holds 100.100.100.200, metadata of Alibaba Cloud
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent, inside a public block
        "169.254.0.0/16",  # link-local; holds 169.254.169.254, metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; holds 192.0.0.192, metadata of Oracle Cloud
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

OPEN_IPV6: Final = IPv6Network("2000::/3")
"""Global unicast, the only block of IPv6 that is in public use."""

# IANA IPv6 Special-Purpose Address Registry, as far as it lies inside global unicast.
CLOSED_IPV6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)

NAT64: Final = IPv6Network("64:ff9b::/96")
"""The well-known prefix by which IPv6-only networks reach IPv4 (RFC 6052); the last 32 bits count."""


def parse(text: str) -> Address | None:
    """The address in ``text``; None when it is none or is bound to an interface (``fe80::1%eth0``)."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id else address


def may_be_dialled(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Whether ``address`` is public, or lies in one of the networks that the settings allow."""
    address = _unmapped(address)
    return is_public(address) or any(
        network.version == address.version and address in network for network in allowed
    )


def is_public(address: Address) -> bool:
    """Whether ``address`` belongs to the public internet; an IPv4 address inside an IPv6 one counts as itself."""
    address = _unmapped(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in CLOSED_IPV4)
    if address in NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in OPEN_IPV6 and not any(address in network for network in CLOSED_IPV6)


def _unmapped(address: Address) -> Address:
    """``::ffff:127.0.0.1`` is 127.0.0.1: the system dials the latter."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
