"""What this machine is called and which private addresses it has: where configuration defaults come from."""

from __future__ import annotations

import ipaddress
import socket

import msgspec

PRIVATE_NETWORKS = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


class Host(msgspec.Struct, frozen=True):
    """A machine as configuration sees it."""

    name: str
    addresses: tuple[tuple[str, str], ...] = ()
    """(interface, IPv4 address) pairs, loopback left out."""

    def private_addresses(self) -> tuple[str, ...]:
        """The addresses of RFC 1918 networks, in interface order."""
        return tuple(address for _, address in self.addresses if _is_private(address))


def _is_private(address: str) -> bool:
    return any(ipaddress.IPv4Address(address) in network for network in PRIVATE_NETWORKS)


def this_host() -> Host:
    """Look at this machine: its host name and its IPv4 addresses by interface."""
    from pyroute2 import IPRoute

    with IPRoute() as route:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in route.get_links()}
        found = tuple(
            (names[entry["index"]], entry.get_attr("IFA_ADDRESS"))
            for entry in route.get_addr(family=socket.AF_INET)
        )
    return Host(
        name=socket.gethostname(),
        addresses=tuple(pair for pair in found if not ipaddress.ip_address(pair[1]).is_loopback),
    )
