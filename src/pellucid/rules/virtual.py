"""The virtual address of a service: one IPv4 and one IPv6 address that never change while it lives.

A service has a number in the pool; its addresses are the pool's first address plus that number.
IPv4 comes from 240.0.0.0/4, reserved and routed by nobody; IPv6 from one fixed unique local prefix.
The lowest free number is given out, so that addresses stay short and a mesh restored from nothing
gets the same ones in the same order. Numbers whose IPv4 address ends in 0 or 255 are passed over:
old software takes those for networks and broadcasts.

Source: RFC 1112 section 4 (240.0.0.0/4), RFC 4193 (unique local addresses);
Consul 1.11 docs, "Transparent Proxy - Virtual IPs" for the idea.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

IPV4_POOL = IPv4Network("240.0.0.0/4")
IPV6_POOL = IPv6Network("fd70:656c:6c75::/48")

# 255.0.0.0/8 is left alone: its last address is the limited broadcast.
_END = int(IPv4Address("255.0.0.0")) - int(IPV4_POOL.network_address)
_PASSED_OVER = (0, 255)


class PoolExhaustedError(RuntimeError):
    """Every virtual address is taken."""


def virtual_ipv4(number: int) -> str:
    """The IPv4 address of a position in the pool, as text."""
    return str(IPV4_POOL.network_address + number)


def virtual_ipv6(number: int) -> str:
    """The IPv6 address of a position in the pool, as text."""
    return str(IPV6_POOL.network_address + number)


def number_of(address: str) -> int | None:
    """The position in the pool of a virtual address; None for an address that is not virtual."""
    match parsed := ip_address(address):
        case IPv4Address() if parsed in IPV4_POOL:
            return int(parsed) - int(IPV4_POOL.network_address)
        case IPv6Address() if parsed in IPV6_POOL:
            return int(parsed) - int(IPV6_POOL.network_address)
    return None


def lowest_free(taken: Collection[int]) -> int:
    """The number to give to the next service. Raises PoolExhaustedError."""
    taken = frozenset(taken)
    number = 1
    while number in taken or number & 0xFF in _PASSED_OVER:
        number += 1
    if number >= _END:
        raise PoolExhaustedError(f"no virtual address is free: {len(taken)} services have one")
    return number
