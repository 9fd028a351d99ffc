"""Keeps the network namespace's rules at what services, their endpoints and pods say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from pellucid.localkube.api.store import Resources
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.network.commands import NetworkCommandFailed, run_network_command
from pellucid.localkube.network.following import changes_of
from pellucid.localkube.network.service_rules import filter_table, host_ports, nat_table, service_ports
from pellucid.localkube.types.kinds import ENDPOINT_SLICES, NODES, PODS, SERVICES

_log = structlog.get_logger(__name__)


class ServiceProxy:
    """The services of one cluster, in its network namespace, which must be this process's own."""

    def __init__(
        self, resources: Resources, plan: AddressPlan, last_rules: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        """last_rules: by IP version, lines of the nat table that come after those of services."""
        self._resources = resources
        self._plan = plan
        self._last_rules = last_rules or {}
        self._applied = {4: "", 6: ""}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async for _ in changes_of(self._resources, (SERVICES, ENDPOINT_SLICES, PODS, NODES)):
            await self._apply()
            self._changed.set()
            self._changed = asyncio.Event()

    async def until_left_alone(self, addresses: Sequence[str]) -> None:
        """Until no rule leads to any of the addresses: new connections to services end elsewhere then."""
        targets = [f"--to-destination {f'[{one}]' if ':' in one else one}:" for one in addresses]
        while any(target in rules for rules in self._applied.values() for target in targets):
            await self._changed.wait()

    async def _apply(self) -> None:
        for version, command in ((4, "iptables-restore"), (6, "ip6tables-restore")):
            tables = self.tables(version)
            if tables == self._applied[version]:
                continue
            try:
                await run_network_command((command, "-w"), tables)
                self._applied[version] = tables
            except NetworkCommandFailed as problem:
                _log.error("service rules not applied; tried again at the next change", problem=str(problem))

    def tables(self, version: int) -> str:
        """Both tables of an address family, as `iptables-restore` reads them."""
        select = self._resources.select
        every = service_ports(select(SERVICES)[1], select(ENDPOINT_SLICES)[1], version=version)
        # Cluster DNS is answered by this process, at its own address: no rule may come between.
        ports = [one for one in every if str(self._plan.dns) not in one.addresses]
        nodes = [one["metadata"]["name"] for one in select(NODES)[1]]
        hosts = [one for name in nodes for one in host_ports(select(PODS)[1], name, version=version)]
        own = [self._plan.node(index) for index in range(max(1, len(nodes)))]
        local = [one.v4 if version == 4 else one.v6 for one in own]
        local.append("127.0.0.1" if version == 4 else "::1")
        pods = str(self._plan.pods_v4 if version == 4 else self._plan.pods_v6)
        last = self._last_rules.get(version, ())
        nat = nat_table(ports, hosts, version=version, local_addresses=local, pods=pods, last=last)
        return nat + filter_table(ports, version=version)
