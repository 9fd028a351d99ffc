"""The compiled discovery chain: a graph of router, splitter and resolver nodes over targets.

A node's key is `router:<service>.<namespace>`, `splitter:<service>.<namespace>` or
`resolver:<target id>`; routes and splits name the key of the node that comes next, resolvers name
targets. Field names and order are those of the discovery-chain API.

Source: Consul 1.10 docs, "Discovery Chain HTTP API"; agent/structs/discovery_chain.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.model.config_entries import LoadBalancer, ResolverSubset, ServiceRoute
from pellucid.model.durations import Duration
from pellucid.model.encoding import json_object
from pellucid.model.names import DEFAULT_NAMESPACE
from pellucid.model.services import MeshGatewayConfig
from pellucid.model.wire import AlwaysWritten

ROUTER = "router"
SPLITTER = "splitter"
RESOLVER = "resolver"


class DiscoveryTarget(msgspec.Struct, frozen=True):
    """A set of instances: a service, or a subset of one, in a datacenter."""

    id: str
    service: str
    service_subset: str = ""
    namespace: AlwaysWritten[str] = DEFAULT_NAMESPACE
    datacenter: str = ""
    mesh_gateway: MeshGatewayConfig = MeshGatewayConfig()
    subset: ResolverSubset = ResolverSubset()
    external: bool = False
    """The service is outside the mesh and is reached by its own server name."""
    sni: str = ""
    name: str = ""
    """The name of the cluster that reaches it."""


class DiscoveryFailover(msgspec.Struct, frozen=True):
    """Ids of the targets to turn to, in order."""

    targets: tuple[str, ...] = ()


class DiscoveryResolver(msgspec.Struct, frozen=True):
    """Where a resolver node ends. `default`: no resolver entry shaped it."""

    connect_timeout: AlwaysWritten[Duration]
    default: bool = False
    target: str = ""
    failover: DiscoveryFailover | None = None


class DiscoveryRoute(msgspec.Struct, frozen=True):
    """One route as written, and the node it leads to."""

    definition: ServiceRoute
    next_node: str


class DiscoverySplit(msgspec.Struct, frozen=True):
    """`weight` per cent of the traffic, and the node it goes to."""

    weight: AlwaysWritten[float]
    next_node: str


class DiscoveryGraphNode(msgspec.Struct, frozen=True):
    """One step of the way; `type` says which of the fields after `name` counts."""

    type: str
    name: str
    routes: tuple[DiscoveryRoute, ...] = ()
    splits: tuple[DiscoverySplit, ...] = ()
    resolver: DiscoveryResolver | None = None
    load_balancer: LoadBalancer | None = None

    @property
    def key(self) -> str:
        """How other nodes refer to this one."""
        return f"{self.type}:{self.name}"

    @property
    def next_nodes(self) -> tuple[str, ...]:
        """The keys of the nodes this one leads to, in order."""
        routes = tuple(route.next_node for route in self.routes)
        return routes + tuple(split.next_node for split in self.splits)


class CompiledDiscoveryChain(msgspec.Struct, frozen=True):
    """Where connections or requests to a service go."""

    service_name: str
    namespace: str
    datacenter: str
    customization_hash: str
    """Eight hex digits that tell chains with different overrides apart; empty when none took effect."""
    protocol: str
    start_node: str
    nodes: Mapping[str, DiscoveryGraphNode]
    targets: Mapping[str, DiscoveryTarget]

    @property
    def start(self) -> DiscoveryGraphNode:
        """The node where every connection begins."""
        return self.nodes[self.start_node]

    @property
    def is_default(self) -> bool:
        """True if no config entry bends the way: it goes straight to the service's own instances."""
        resolver = self.start.resolver
        return (
            resolver is not None
            and resolver.default
            and self.targets[resolver.target].service == self.service_name
        )


def chain_json_object(chain: CompiledDiscoveryChain) -> dict[str, Any]:
    """The chain as the API shows it, maps in order of their keys as Go writes them."""
    written = json_object(chain)
    for member in ("Nodes", "Targets"):
        written[member] = {key: written[member][key] for key in sorted(written[member])}
    return written
