"""How connections to a service find their instances: the discovery chain, compiled.

    router (by request) -> splitters (by share) -> resolver (subset, redirect, failover) -> targets

The compiler walks from the service's name and reads the entries it meets. Every service it meets
must speak one protocol, and routing and splitting need a protocol with requests. Splitters that
lead to splitters become one. Overrides of the caller (protocol, connect timeout, mesh gateway) are
applied where they differ, and mark the chain with a hash.

Two points differ from Consul 1.10: an empty protocol in `service-defaults` inherits (see
`protocol`), and flattened weights are rounded so that they still make up 100 exactly.

Source: Consul 1.10 docs, "Discovery Chain"; agent/consul/discoverychain/compile.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

import msgspec

from pellucid.model.config_entries import (
    ConfigEntry,
    LoadBalancer,
    ProxyDefaults,
    ResolverFailover,
    ResolverSubset,
    RouteDestination,
    RouteHTTPMatch,
    RouteMatch,
    ServiceDefaults,
    ServiceResolver,
    ServiceRoute,
    ServiceRouter,
    ServiceSplitter,
)
from pellucid.model.config_entries.proxy_defaults import GLOBAL_NAME
from pellucid.model.durations import SECOND
from pellucid.model.go_text import quote
from pellucid.model.names import DEFAULT_NAMESPACE, WILDCARD, service_sni, target_id
from pellucid.model.services import MeshGatewayConfig
from pellucid.rules.chain_nodes import ChainError, flattened, reachable, refuse_cycles, targets_of
from pellucid.rules.compiled_chain import (
    RESOLVER,
    ROUTER,
    SPLITTER,
    CompiledDiscoveryChain,
    DiscoveryFailover,
    DiscoveryGraphNode,
    DiscoveryResolver,
    DiscoveryRoute,
    DiscoverySplit,
    DiscoveryTarget,
)
from pellucid.rules.customization import NO_OVERRIDES, ChainOverrides, customization_hash
from pellucid.rules.protocol import is_http_like, service_protocol

FindEntry: TypeAlias = Callable[[str, str], ConfigEntry | None]
"""Looks up a config entry by kind and name."""

DEFAULT_CONNECT_TIMEOUT_NS = 5 * SECOND

_replace = msgspec.structs.replace
_Entry = TypeVar("_Entry", ProxyDefaults, ServiceDefaults, ServiceRouter, ServiceSplitter, ServiceResolver)


def compile_chain(
    service: str,
    find: FindEntry,
    *,
    datacenter: str,
    trust_domain: str,
    use_in_datacenter: str = "",
    overrides: ChainOverrides = NO_OVERRIDES,
) -> CompiledDiscoveryChain:
    """Compile the chain of a service, which need not be registered.

    datacenter: where the service is looked for. use_in_datacenter: where the caller is; empty for the
    same. Raises ChainError.
    """
    compiler = _Compiler(service, find, datacenter, trust_domain, use_in_datacenter or datacenter, overrides)
    try:
        return compiler.compile()
    except RecursionError:
        raise ChainError(f"discovery chain {quote(service)} is nested too deeply") from None


class _Compiler:
    """One compilation: the nodes and targets met so far, and the protocol they agree on."""

    def __init__(
        self,
        service: str,
        find: FindEntry,
        datacenter: str,
        trust_domain: str,
        use_in_datacenter: str,
        overrides: ChainOverrides,
    ) -> None:
        self._service = service
        self._find = find
        self._datacenter = datacenter
        self._trust_domain = trust_domain
        self._use_in_datacenter = use_in_datacenter
        self._overrides = overrides
        self._requests_hidden = bool(overrides.protocol) and not is_http_like(overrides.protocol)
        self._nodes: dict[str, DiscoveryGraphNode] = {}
        self._targets: dict[str, DiscoveryTarget] = {}
        self._protocol = ""
        self._effective = NO_OVERRIDES
        """Those overrides that made a difference."""

    def compile(self) -> CompiledDiscoveryChain:
        start = self._start()
        refuse_cycles(self._nodes, start)
        nodes = reachable(flattened(self._nodes), start)
        self._require_requests(nodes.values())
        protocol = self._overrides.protocol or self._protocol
        if protocol != self._protocol:
            self._effective = _replace(self._effective, protocol=protocol)
        return CompiledDiscoveryChain(
            service_name=self._service,
            namespace=DEFAULT_NAMESPACE,
            datacenter=self._datacenter,
            customization_hash=customization_hash(self._effective),
            protocol=protocol,
            start_node=start,
            nodes=nodes,
            targets={target: self._targets[target] for target in targets_of(nodes.values())},
        )

    def _start(self) -> str:
        router = self._entry(ServiceRouter, self._service)
        if router is None or self._hides(router):
            return self._splitter_or_resolver(self._service)
        return self._router(router)

    def _router(self, router: ServiceRouter) -> str:
        self._meet(self._service)
        routes = [
            DiscoveryRoute(route, self._destination(route.destination or RouteDestination()))
            for route in router.routes
        ]
        catch_all = ServiceRoute(
            RouteMatch(RouteHTTPMatch(path_prefix="/")),
            RouteDestination(service=self._service, namespace=DEFAULT_NAMESPACE),
        )
        routes.append(DiscoveryRoute(catch_all, self._splitter_or_resolver(self._service)))
        return self._record(
            DiscoveryGraphNode(ROUTER, f"{self._service}.{DEFAULT_NAMESPACE}", routes=tuple(routes))
        )

    def _destination(self, destination: RouteDestination) -> str:
        service = destination.service or self._service
        if destination.service_subset:
            return self._resolver(self._target(service, destination.service_subset))
        return self._splitter_or_resolver(service)

    def _splitter_or_resolver(self, service: str) -> str:
        return self._splitter(service) or self._resolver(self._target(service))

    def _splitter(self, service: str) -> str | None:
        key = f"{SPLITTER}:{service}.{DEFAULT_NAMESPACE}"
        if key in self._nodes:
            return key
        splitter = self._entry(ServiceSplitter, service)
        if splitter is None or self._hides(splitter):
            return None
        # Recorded before its splits are followed, so that splitters in a circle end here.
        node = DiscoveryGraphNode(SPLITTER, f"{service}.{DEFAULT_NAMESPACE}")
        self._record(node)
        splits = tuple(
            DiscoverySplit(split.weight, self._split(service, split.service or service, split.service_subset))
            for split in splitter.splits
        )
        return self._record(_replace(node, splits=splits, load_balancer=self._hash_based(splits)))

    def _hash_based(self, splits: Iterable[DiscoverySplit]) -> LoadBalancer | None:
        """The first hash-based balancer of the resolvers split to: one route can follow only one."""
        following = (self._nodes[split.next_node] for split in splits)
        balancers = (node.load_balancer for node in following if node.type == RESOLVER)
        return next((balancer for balancer in balancers if balancer and balancer.is_hash_based), None)

    def _split(self, own: str, service: str, subset: str) -> str:
        if service != own and not subset and (next_splitter := self._splitter(service)):
            return next_splitter
        return self._resolver(self._target(service, subset))

    def _resolver(self, target: DiscoveryTarget) -> str:
        target, resolver = self._resolve(target)
        key = f"{RESOLVER}:{target.id}"
        if key in self._nodes:
            return key
        self._targets[target.id] = self._shaped(target, resolver)
        node = DiscoveryGraphNode(
            RESOLVER,
            target.id,
            resolver=DiscoveryResolver(
                connect_timeout=self._connect_timeout_of(resolver),
                default=_is_default(resolver),
                target=target.id,
            ),
            load_balancer=resolver.load_balancer,
        )
        # Recorded before failover is followed, so that failover in a circle ends here.
        self._record(node)
        assert node.resolver is not None
        failover = self._failover(target, resolver)
        return self._record(_replace(node, resolver=_replace(node.resolver, failover=failover)))

    def _resolve(self, target: DiscoveryTarget) -> tuple[DiscoveryTarget, ServiceResolver]:
        """Follow redirects and default subsets to where they end."""
        passed: list[str] = []
        while True:
            if f"{RESOLVER}:{target.id}" not in self._nodes:
                self._meet(target.service)
            resolver = self._entry(ServiceResolver, target.service) or ServiceResolver(name=target.service)
            passed.append(target.id)
            if target.id in passed[:-1]:
                raise ChainError(f"detected circular resolver redirect: [{' -> '.join(passed)}]")
            following = self._redirected(target, resolver)
            if following.id == target.id:
                break
            target = following
        if target.service_subset and target.service_subset not in resolver.subsets:
            raise ChainError(
                f"service {quote(target.service)} does not have a subset named {quote(target.service_subset)}"
            )
        return target, resolver

    def _redirected(self, target: DiscoveryTarget, resolver: ServiceResolver) -> DiscoveryTarget:
        if (redirect := resolver.redirect) is not None:
            rewritten = self._rewritten(
                target, redirect.service, redirect.service_subset, redirect.datacenter
            )
            if rewritten.id != target.id:
                return rewritten
        if not target.service_subset and resolver.default_subset:
            return self._rewritten(target, subset=resolver.default_subset)
        return target

    def _failover(self, target: DiscoveryTarget, resolver: ServiceResolver) -> DiscoveryFailover | None:
        failover = resolver.failover.get(target.service_subset) or resolver.failover.get(WILDCARD)
        if failover is None:
            return None
        targets = tuple(
            self._failover_target(alternative)
            for alternative in self._alternatives(target, failover)
            if alternative.id != target.id
        )
        return DiscoveryFailover(targets) if targets else None

    def _alternatives(self, target: DiscoveryTarget, failover: ResolverFailover) -> Iterable[DiscoveryTarget]:
        for datacenter in failover.datacenters or ("",):
            yield self._rewritten(target, failover.service, failover.service_subset, datacenter)

    def _failover_target(self, target: DiscoveryTarget) -> str:
        """A failover target resolved like any other, but without a failover of its own."""
        target, resolver = self._resolve(target)
        if target.id not in self._targets:
            self._targets[target.id] = self._shaped(target, resolver)
        return target.id

    def _shaped(self, target: DiscoveryTarget, resolver: ServiceResolver) -> DiscoveryTarget:
        """The target with what its entries say of it."""
        defaults = self._entry(ServiceDefaults, target.service)
        target = _replace(target, subset=resolver.subsets.get(target.service_subset, ResolverSubset()))
        if defaults is not None and defaults.external_sni:
            _refuse_shaping_external(target.service, resolver)
            return _replace(target, sni=defaults.external_sni, external=True)
        return _replace(target, mesh_gateway=self._mesh_gateway(target, defaults))

    def _mesh_gateway(self, target: DiscoveryTarget, defaults: ServiceDefaults | None) -> MeshGatewayConfig:
        if target.datacenter == self._use_in_datacenter:
            return MeshGatewayConfig()
        mode = defaults.mesh_gateway.mode if defaults else ""
        if not mode and (proxy_defaults := self._proxy_defaults()) is not None:
            mode = proxy_defaults.mesh_gateway.mode
        wanted = self._overrides.mesh_gateway
        if wanted and wanted != mode:
            self._effective = _replace(self._effective, mesh_gateway=wanted)
            mode = wanted
        return MeshGatewayConfig(mode)

    def _connect_timeout_of(self, resolver: ServiceResolver) -> int:
        timeout = resolver.connect_timeout if resolver.connect_timeout > 0 else DEFAULT_CONNECT_TIMEOUT_NS
        wanted = self._overrides.connect_timeout_ns
        if wanted > 0 and wanted != timeout:
            self._effective = _replace(self._effective, connect_timeout_ns=wanted)
            return wanted
        return timeout

    def _target(self, service: str, subset: str = "", datacenter: str = "") -> DiscoveryTarget:
        datacenter = datacenter or self._datacenter
        sni = service_sni(service, datacenter, self._trust_domain, subset)
        return DiscoveryTarget(
            id=target_id(service, datacenter, subset),
            service=service,
            service_subset=subset,
            datacenter=datacenter,
            sni=sni,
            name=sni,
        )

    def _rewritten(
        self, target: DiscoveryTarget, service: str = "", subset: str = "", datacenter: str = ""
    ) -> DiscoveryTarget:
        """The target with what is given put in; another service does not keep the subset."""
        other_service = bool(service) and service != target.service
        kept_subset = "" if other_service else target.service_subset
        return self._target(service or target.service, subset or kept_subset, datacenter or target.datacenter)

    def _meet(self, service: str) -> None:
        """Take note of a service's protocol. Raises ChainError when it differs from those before it."""
        protocol = service_protocol(self._entry(ServiceDefaults, service), self._proxy_defaults())
        if self._protocol and protocol != self._protocol:
            raise ChainError(
                f"discovery chain {quote(self._service)} uses inconsistent protocols; "
                f"service {quote(service)} has {quote(protocol)} which is not {quote(self._protocol)}"
            )
        self._protocol = protocol

    def _require_requests(self, nodes: Iterable[DiscoveryGraphNode]) -> None:
        """Routers and splitters need requests. Raises ChainError when the protocol has none."""
        if not is_http_like(self._protocol) and any(node.type != RESOLVER for node in nodes):
            raise ChainError(
                f"discovery chain {quote(self._service)} uses a protocol {quote(self._protocol)} "
                "that does not permit advanced routing or splitting behavior"
            )

    def _hides(self, _entry: ServiceRouter | ServiceSplitter) -> bool:
        """True if the caller's protocol has no requests, so that the entry cannot apply."""
        if self._requests_hidden:
            self._effective = _replace(self._effective, protocol=self._overrides.protocol)
        return self._requests_hidden

    def _record(self, node: DiscoveryGraphNode) -> str:
        self._nodes[node.key] = node
        return node.key

    def _proxy_defaults(self) -> ProxyDefaults | None:
        return self._entry(ProxyDefaults, GLOBAL_NAME)

    def _entry(self, kind: type[_Entry], name: str) -> _Entry | None:
        entry = self._find(kind.kind, name)
        assert entry is None or isinstance(entry, kind)
        return entry


def _is_default(resolver: ServiceResolver) -> bool:
    """True if the resolver says no more than its name does."""
    return resolver == ServiceResolver(name=resolver.name, meta=resolver.meta)


def _refuse_shaping_external(service: str, resolver: ServiceResolver) -> None:
    """A service outside the mesh is reached under one name only. Raises ChainError."""
    shaped_by = (
        ("redirects", resolver.redirect),
        ("subsets", resolver.subsets),
        ("failover", resolver.failover),
    )
    for what, value in shaped_by:
        if value:
            raise ChainError(
                f"service {quote(service)} has an external SNI set; "
                f"cannot define {what} for external services"
            )
