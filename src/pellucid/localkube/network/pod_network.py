"""Gives pods their addresses and links."""

from __future__ import annotations

from pellucid.localkube.network.addresses import AddressPlan, PodAddresses, PodAddressPool
from pellucid.localkube.network.links import link_pod


class PodNetwork:
    """The pods of one node, in the cluster's network namespace, which must be this process's own."""

    def __init__(self, plan: AddressPlan, node_index: int = 0) -> None:
        self.plan = plan
        self.node = plan.node(node_index)
        self.pod_network = plan.node_pods(node_index)
        self._pool = PodAddressPool(plan, node_index)

    async def attach(self, pid: int) -> PodAddresses:
        """Join the process's network namespace. Raises AddressesExhausted, NetworkCommandFailed."""
        addresses = self._pool.take()
        link = f"pod{addresses.v4.replace('.', '')[-9:]}"
        try:
            await link_pod(link, pid, addresses, self.node)
        except BaseException:
            self._pool.give_back(addresses)
            raise
        return addresses

    def detach(self, addresses: PodAddresses) -> None:
        """After the namespace is gone, and the link with it."""
        self._pool.give_back(addresses)
