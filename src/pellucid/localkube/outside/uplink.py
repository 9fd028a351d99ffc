"""Lends a cluster the host's way out: what pods dial outside the cluster, this process dials on the host.

Rules in the cluster's own network namespace send such connections here. TCP only, and name resolution by
cluster DNS; the host's firewall, routes and settings are neither changed nor needed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

from pellucid.foundation.streams import Streams, original_destination
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.network.commands import run_network_command
from pellucid.localkube.outside.host_network import HostNetwork
from pellucid.localkube.outside.relay import Relay

_SOMEWHERE_V6 = "2000::1"


def uplink_rules(
    plan: AddressPlan, version: int, port: int, resolvers: Sequence[str], stand_ins: Sequence[str]
) -> list[str]:
    """Lines of the nat table, after those of services.

    port: where the relay listens on the first node. resolvers: the host's name servers, whose place cluster
    DNS takes for pods that ask them; it asks them in turn. stand_ins: addresses outside that are near.
    """
    node = plan.node(0)
    relay = f"{node.v4}:{port}" if version == 4 else f"[{node.v6}]:{port}"
    lines = [":UPLINK - [0:0]", "-A PREROUTING -j UPLINK", "-A OUTPUT -j UPLINK"]
    lines += [f"-A UPLINK -d {network} -j RETURN" for network in plan.networks(version)]
    lines += [f"-A UPLINK -d {one} -j RETURN" for one in stand_ins if ip_address(one).version == version]
    lines.append("-A UPLINK -m addrtype --dst-type LOCAL -j RETURN")
    for resolver in resolvers:
        address = ip_address(resolver)
        if version == address.version == plan.dns.version and not plan.keeps(address):
            lines += [
                f"-A UPLINK -d {resolver} -p {protocol} --dport 53 -j DNAT --to-destination {plan.dns}:53"
                for protocol in ("udp", "tcp")
            ]
    return [*lines, f"-A UPLINK -p tcp -j DNAT --to-destination {relay}"]


class Uplink:
    """Takes the connections that leave the cluster and dials them in the host's network."""

    def __init__(self, network: HostNetwork, plan: AddressPlan) -> None:
        self._network = network
        self._plan = plan
        self.ports: dict[int, int] = {}
        """IP version to the port of the first node where it listens; without 6 if the host has no IPv6."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """In the cluster's network namespace, which must be our own. Raises NetworkCommandFailed, OSError."""
        node, relay = self._plan.node(0), Relay(self._dial)
        try:
            for version, address in ((4, node.v4), (6, node.v6)):
                if version == 6 and not await self._network.reaches(_SOMEWHERE_V6):
                    continue
                # Packets of the node itself must have a route before rules can send them elsewhere.
                route = f"-{version} route add default dev node0 src {address}"
                await run_network_command(("ip", *route.split()), "")
                self.ports[version] = await relay.listen(address)
            yield
        finally:
            await relay.close()

    async def _dial(self, accepted: socket.socket) -> Streams:
        host, port = original_destination(accepted)
        if self._plan.keeps(ip_address(host)):
            raise PermissionError(f"{host} is not outside the cluster")
        onward = await self._network.socket(accepted.family, socket.SOCK_STREAM)
        try:
            await asyncio.get_running_loop().sock_connect(onward, (host, port))
            return await asyncio.open_connection(sock=onward)
        except BaseException:
            onward.close()
            raise
