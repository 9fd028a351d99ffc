"""Where workloads of one machine stand on the fabric that joins them, and the links that take them there.

The fabric is a network namespace with a bridge in it. Every workload has one IPv4 and one IPv6 address
there, by its number, and default routes, so that any address at all (the mesh's virtual ones as well) is
routable and reaches the workload's redirection. Scripts are input for `ip -batch -`.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import msgspec

# Apart from the ranges of the mesh's virtual addresses, so that no address means two things.
IPV4_RANGE = IPv4Network("10.211.0.0/16")
IPV6_RANGE = IPv6Network("fd70:656c:6c66::/64")
BRIDGE = "fabric0"
WORKLOAD_LINK = "eth0"

_BRIDGE_NUMBER = 1
_FIRST_NUMBER = 2
_LAST_NUMBER = IPV4_RANGE.num_addresses - 2


class FabricFullError(Exception):
    """Every number of the fabric is taken."""


class FabricPlace(msgspec.Struct, frozen=True):
    """One workload's place, by its number."""

    number: int

    @property
    def ipv4(self) -> IPv4Address:
        return IPV4_RANGE[self.number]

    @property
    def ipv6(self) -> IPv6Address:
        return IPV6_RANGE[self.number]

    def next_hop(self, destination: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
        """The address here that is of the destination's family."""
        return self.ipv4 if destination.version == 4 else self.ipv6

    @property
    def bridge_port(self) -> str:
        """The link's name at the bridge."""
        return f"workload{self.number}"


def free_place(taken: Collection[int]) -> FabricPlace:
    """The lowest free place. Raises FabricFullError."""
    for number in range(_FIRST_NUMBER, _LAST_NUMBER + 1):
        if number not in taken:
            return FabricPlace(number)
    raise FabricFullError(
        f"all {_LAST_NUMBER - _FIRST_NUMBER + 1} places of {IPV4_RANGE} are taken: end a workload"
    )


def fabric_script() -> str:
    """Makes the bridge, in a new namespace."""
    return _script(
        "link set lo up",
        f"link add {BRIDGE} type bridge mcast_snooping 0",
        *_addresses(BRIDGE, _BRIDGE_NUMBER),
        f"link set {BRIDGE} up",
        # Addresses that nobody has are taken for the fabric's own, so that it refuses them at once; an
        # unreachable route would keep silent most of the time, since the kernel limits such answers.
        # The table that says what is local is asked first, so the other ways must be in it, too.
        *(f"route add local {everything} dev lo table local" for everything in ("0.0.0.0/0", "::/0")),
        *(f"route add {cidr} dev {BRIDGE} table local" for cidr in (IPV4_RANGE, IPV6_RANGE)),
    )


def workload_script(place: FabricPlace, fabric: str) -> str:
    """Links a workload's namespace, in which it runs, to the fabric.

    fabric: the fabric's namespace, as a path.
    """
    return _script(
        "link set lo up",
        f"link add {WORKLOAD_LINK} type veth peer name {place.bridge_port} netns {fabric}",
        *_addresses(WORKLOAD_LINK, place.number),
        f"link set {WORKLOAD_LINK} up",
        f"route add default via {IPV4_RANGE[_BRIDGE_NUMBER]}",
        f"route add default via {IPV6_RANGE[_BRIDGE_NUMBER]}",
    )


def bridge_port_script(place: FabricPlace) -> str:
    """Takes a workload's link into the bridge, in the fabric's namespace."""
    return _script(f"link set {place.bridge_port} master {BRIDGE} up")


def outside_addresses_script(addresses: Collection[IPv4Address | IPv6Address]) -> str:
    """Gives further addresses to the namespace in which it runs: those of hosts it stands in for."""
    return _script(*(f"address add {address}/{address.max_prefixlen} dev lo" for address in addresses))


def outside_routes_script(place: FabricPlace, addresses: Collection[IPv4Address | IPv6Address]) -> str:
    """Has the fabric send traffic for those addresses to that place."""
    return _script(
        *(f"route replace {address} via {place.next_hop(address)} table local" for address in addresses)
    )


def forget_routes_script(addresses: Collection[IPv4Address | IPv6Address]) -> str:
    """Has the fabric forget them."""
    return _script(*(f"route del {address} table local" for address in addresses))


def _addresses(link: str, number: int) -> tuple[str, str]:
    return (
        f"address add {IPV4_RANGE[number]}/{IPV4_RANGE.prefixlen} dev {link}",
        f"address add {IPV6_RANGE[number]}/{IPV6_RANGE.prefixlen} dev {link} nodad",
    )


def _script(*lines: str) -> str:
    return "\n".join((*lines, ""))
