"""Which addresses a cluster uses. All are private to its network namespace."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import msgspec


class AddressesExhausted(Exception):
    """Every pod address of the node is in use."""


class PodAddresses(msgspec.Struct, frozen=True):
    """A pod's two addresses, as text."""

    v4: str
    v6: str


class AddressPlan(msgspec.Struct, frozen=True):
    """The networks of one cluster; node `n` (from 0) has the n-th /24 and /120 of the pods' networks."""

    pods_v4: IPv4Network = IPv4Network("10.244.0.0/16")
    pods_v6: IPv6Network = IPv6Network("fd00:10:244::/112")
    nodes_v4: IPv4Network = IPv4Network("172.30.0.0/24")
    nodes_v6: IPv6Network = IPv6Network("fd00:172:30::/120")
    services_v4: IPv4Network = IPv4Network("10.96.0.0/12")
    services_v6: IPv6Network = IPv6Network("fd00:10:96::/112")
    dns: IPv4Address = IPv4Address("10.96.0.10")

    def networks(self, version: int) -> tuple[IPv4Network | IPv6Network, ...]:
        """The cluster's own networks of an address family, 4 or 6."""
        every = (
            *(self.pods_v4, self.nodes_v4, self.services_v4),
            *(self.pods_v6, self.nodes_v6, self.services_v6),
        )
        return tuple(network for network in every if network.version == version)

    def keeps(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether packets for an address stay in the cluster: its own, and those of one link or machine."""
        confined = address.is_loopback or address.is_link_local or address.is_multicast
        own = self.networks(address.version)
        return confined or address.is_unspecified or any(address in network for network in own)

    def node(self, index: int) -> PodAddresses:
        """The addresses of a node itself."""
        return PodAddresses(str(self.nodes_v4[index + 2]), str(self.nodes_v6[index + 2]))

    def node_pods(self, index: int) -> IPv4Network:
        """The pod addresses of one node, `spec.podCIDR`."""
        return IPv4Network((int(self.pods_v4.network_address) + (index << 8), 24))

    def pod(self, node_index: int, number: int) -> PodAddresses:
        """The addresses of a node's pod slot, 2 to 254."""
        offset = (node_index << 8) + number
        v6 = IPv6Address(int(self.pods_v6.network_address) + offset)
        return PodAddresses(str(IPv4Address(int(self.pods_v4.network_address) + offset)), str(v6))


class PodAddressPool:
    """Hands out the pod addresses of one node, the one given back longest ago first."""

    def __init__(self, plan: AddressPlan, node_index: int) -> None:
        self._free = [plan.pod(node_index, number) for number in range(2, 255)]

    def take(self) -> PodAddresses:
        """Raises AddressesExhausted."""
        if not self._free:
            raise AddressesExhausted(
                "all 253 pod addresses of this node are in use; delete pods or add a node"
            )
        return self._free.pop(0)

    def give_back(self, addresses: PodAddresses) -> None:
        """After the pod that held them is gone."""
        self._free.append(addresses)
