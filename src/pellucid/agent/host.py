"""What this machine is called and which private addresses it has: where configuration defaults come from."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct

import msgspec

PRIVATE_NETWORKS = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))

_SIOCGIFADDR = 0x8915


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
    """Look at this machine: its host name and the first IPv4 address of each interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        found = [(name, _address_of(probe, name)) for _, name in socket.if_nameindex()]
    return Host(
        name=socket.gethostname(),
        addresses=tuple(
            (name, address) for name, address in found if address and not address.startswith("127.")
        ),
    )


def _address_of(probe: socket.socket, interface: str) -> str:
    """The interface's IPv4 address, empty when it has none."""
    # Layout of `struct ifreq`: 16 bytes of name, then a sockaddr_in whose address is at bytes 20 to 24.
    request = struct.pack("16s240x", interface.encode())
    try:
        answer = fcntl.ioctl(probe, _SIOCGIFADDR, request)
    except OSError:
        return ""
    return socket.inet_ntoa(answer[20:24])
