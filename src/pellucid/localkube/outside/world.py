"""Puts together what a cluster sees of the outside, and what its parts must know for that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.network.dns_server import Upstream
from pellucid.localkube.outside.authority import make_credentials, subject_hash
from pellucid.localkube.outside.host_network import HostNetwork
from pellucid.localkube.outside.host_resolver import HostResolver
from pellucid.localkube.outside.stand_in import stand_in
from pellucid.localkube.outside.uplink import Uplink, uplink_rules


@dataclass(frozen=True)
class World:
    """Without anything set: nothing is outside, no name is known there and no packet leaves."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the stand-in with their addresses, for cluster DNS."""
    trusted: Mapping[str, bytes] = field(default_factory=dict)
    """The stand-in's authority, for images (see `host_root.make_host_root`)."""
    upstream: Upstream | None = None
    """Whom cluster DNS asks for other names."""
    rules: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """By IP version, lines of the nat table that come after those of services."""
    network: HostNetwork | None = None
    """The host's, if it is lent."""


@asynccontextmanager
async def outside_world(
    names: Mapping[str, tuple[str, ...]], host_network: int | None, plan: AddressPlan, now: datetime
) -> AsyncIterator[World]:
    """From the cluster's network namespace, which must be our own.

    names: those of a stand-in, none for no stand-in. host_network: an open descriptor of the namespace that
    lends its way out. Raises SandboxFailed, NetworkCommandFailed, OSError.
    """
    async with AsyncExitStack() as undo:
        trusted: dict[str, bytes] = {}
        if names:
            credentials = make_credentials(names, now)
            await undo.enter_async_context(stand_in(names, plan, credentials.server))
            trusted = {subject_hash(credentials.authority): credentials.authority}
        if host_network is None:
            yield World(names, trusted)
            return
        network = HostNetwork(host_network)
        undo.callback(network.close)
        uplink = Uplink(network, plan)
        await undo.enter_async_context(uplink.listening())
        resolver = HostResolver(network)
        rules = {
            version: uplink_rules(plan, version, port, resolver.servers(), sorted(_addresses(names)))
            for version, port in uplink.ports.items()
        }
        yield World(names, trusted, resolver, rules, network)


def _addresses(names: Mapping[str, tuple[str, ...]]) -> set[str]:
    return {address for addresses in names.values() for address in addresses}
