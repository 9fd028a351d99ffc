"""What each proxy is to have: the queries between the mesh's derived values and Envoy's resources.

`refs` says, for a proxy and a type, which resources there are and what each is built from; `resource`
builds one. Refs are keyed by content: whatever does not depend on the single proxy (the endpoints and the
cluster of an upstream, the outbound listener of everyone who may call the same services) is the same ref
for all, and so is built once, watched once and sent as the same bytes.

    registration, effective settings, access  --refs-->  name -> ref
    ref, the mesh's derived values            --view-->  view  --builder-->  message, bytes, version
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pellucid.derive.effective import effective_proxy
from pellucid.derive.engine import Db, query
from pellucid.derive.entries import mesh_destinations_only
from pellucid.derive.identity import datacenter, trust_domain
from pellucid.derive.instances import direct_addresses, further_ports, further_ports_of, mesh_services
from pellucid.derive.intentions import callers, reachable
from pellucid.derive.proxies import registration
from pellucid.derive.upstreams import caller_upstream_config
from pellucid.model.names import service_sni, target_id
from pellucid.model.services import Service, ServiceKind, Upstream
from pellucid.rules.effective import EffectiveProxy
from pellucid.rules.protocol import TCP, is_http_like
from pellucid.rules.proxy_config import upstream_settings
from pellucid.xds.layers import Layers
from pellucid.xds.lookup import destination_of, sni, source_rules, upstream_protocol, view_of
from pellucid.xds.refs import (
    NO_REACH,
    AllowedSourcesRef,
    EndpointsRef,
    ExplicitUpstreamRef,
    LeafRef,
    OutboundListenerRef,
    PassthroughRef,
    Reach,
    RootsRef,
    UpstreamRef,
)
from pellucid.xds.resources import build
from pellucid.xds.resources.messages import is_ip
from pellucid.xds.resources.routes import PUBLIC_ROUTES
from pellucid.xds.shared import Ref, Refs, SharedResource
from pellucid.xds.types import ResourceType
from pellucid.xds.view import (
    ALLOWED_SOURCES,
    LEAF_SECRET,
    LOCAL_APP,
    ORIGINAL_DESTINATION,
    OWN_PORT,
    ROOTS_SECRET,
    ExposedPath,
    InnerCluster,
    LocalApp,
    OriginalDestination,
    PublicListener,
    PublicRoutes,
    UpstreamListener,
    UpstreamRoutes,
    allowed_sources_name,
    further_cluster_name,
    local_app_name,
    outbound_listener_name,
)

_ANY_IPV4 = "0.0.0.0"  # noqa: S104 - Consul's default; peers are on other machines
_LOOPBACK = "127.0.0.1"


class NotASidecarError(LookupError):
    """There is no sidecar of that id, or not any more; what it was sent stays with it."""


@query
def refs(db: Db, node: str, service_id: str, type_url: str) -> Refs:
    """The resources of one type that a sidecar is to have. Raises NotASidecarError."""
    instance = registration(db, node, service_id)
    effective = effective_proxy(db, node, service_id)
    if instance is None or effective is None or instance.kind is not ServiceKind.CONNECT_PROXY:
        raise NotASidecarError(f"{service_id!r} on node {node!r} is not registered as a sidecar proxy")
    match type_url:
        case ResourceType.CLUSTER:
            return Refs(_clusters(db, instance, effective))
        case ResourceType.ENDPOINT:
            return Refs(_endpoints(db, effective))
        case ResourceType.LISTENER:
            return Refs({**_own_listeners(db, instance, effective), **_ways_out(db, effective)})
        case ResourceType.ROUTE:
            return Refs(_routes(db, effective))
        case ResourceType.SECRET:
            return Refs({LEAF_SECRET: LeafRef(_service(effective)), ROOTS_SECRET: RootsRef()})
    return Refs({})


@query
def resource(db: Db, ref: Ref) -> SharedResource:
    """One resource, serialised. Raises when what it needs is not there yet, such as a certificate."""
    return build(view_of(db, ref))


# Upstreams


@query
def inferred_clusters(db: Db, reach: Reach) -> Mapping[str, Ref]:
    """The clusters of the upstreams that no registration names, and of those dialled directly."""
    found: dict[str, Ref] = {
        sni(db, service): UpstreamRef(service, reach.caller, reach.mesh_gateway)
        for service in _inferred(db, reach)
    }
    for service in _reachable(db, reach):
        if direct_addresses(db, service):
            found[f"passthrough~{sni(db, service)}"] = PassthroughRef(service)
        for port in further_ports(db, service):
            name = further_cluster_name(sni(db, service), port)
            found[name] = UpstreamRef(service, reach.caller, reach.mesh_gateway, port)
    return found


@query
def inferred_endpoints(db: Db, reach: Reach) -> Mapping[str, Ref]:
    """The endpoints of the upstreams that no registration names."""
    found: dict[str, Ref] = {
        sni(db, service): EndpointsRef(sni(db, service), service) for service in _inferred(db, reach)
    }
    for service in _reachable(db, reach):
        for port in further_ports(db, service):
            name = further_cluster_name(sni(db, service), port)
            found[name] = EndpointsRef(name, service, port)
    return found


@query
def inferred_routes(db: Db, reach: Reach) -> Mapping[str, Ref]:
    """The routes of those upstreams that no registration names and that have requests."""
    return {
        service: UpstreamRoutes(service, target_id(service, datacenter(db)), sni(db, service))
        for service in _inferred(db, reach)
        if is_http_like(upstream_protocol(db, service, reach))
    }


def _reach(db: Db, effective: EffectiveProxy) -> Reach:
    """Whom the proxy takes redirected connections for."""
    if not effective.is_transparent:
        return NO_REACH
    service = _service(effective)
    return Reach(
        reachable(db, service),
        caller_upstream_config(db, service),
        effective.registered_mesh_gateway,
        tuple(sorted(upstream.service for upstream in _explicit_here(db, effective))),
    )


def _reachable(db: Db, reach: Reach) -> Iterator[str]:
    return (name for name in mesh_services(db) if reach.access.allows(name))


def _inferred(db: Db, reach: Reach) -> Iterator[str]:
    return (name for name in _reachable(db, reach) if name not in reach.named)


def _explicit(db: Db, upstream: Upstream) -> ExplicitUpstreamRef:
    name, where = upstream.destination_name, upstream.datacenter or datacenter(db)
    settings = upstream_settings(upstream.config or {})
    at = f"?dc={upstream.datacenter}" if upstream.datacenter else ""
    if upstream.destination_type == "service":
        cluster = service_sni(name, where, trust_domain(db))
        return ExplicitUpstreamRef(f"{name}{at}", cluster, target_id(name, where), name, where, settings)
    cluster = f"{name}.default.{where}.query.{trust_domain(db)}"
    return ExplicitUpstreamRef(
        f"prepared_query:{name}{at}", cluster, f"prepared_query_{name}", "", where, settings
    )


def _explicit_here(db: Db, effective: EffectiveProxy) -> Iterator[ExplicitUpstreamRef]:
    """The upstreams of the registration that are services of this datacenter."""
    for upstream in effective.proxy.upstreams:
        ref = _explicit(db, upstream)
        if ref.service and ref.datacenter == datacenter(db):
            yield ref


def _service(effective: EffectiveProxy) -> str:
    return effective.proxy.destination_service_name


# Clusters and endpoints


def _clusters(db: Db, instance: Service, effective: EffectiveProxy) -> Mapping[str, Ref]:
    app = _local_app(effective)
    found: dict[str, Ref] = {LOCAL_APP: app, ALLOWED_SOURCES: InnerCluster(effective.protocol)}
    for port in _further_ports(instance, effective):
        name = local_app_name(port)
        found[name] = LocalApp(name, app.address, port, connect_timeout_ms=app.connect_timeout_ms)
        found[allowed_sources_name(port)] = InnerCluster(port=port)
    for path in effective.proxy.expose.paths:
        name = _exposed_cluster(path.local_path_port, effective)
        if name != LOCAL_APP:
            found[name] = LocalApp(
                name, app.address, path.local_path_port, "", path.protocol, app.connect_timeout_ms
            )
    if effective.is_transparent and not mesh_destinations_only(db):
        found[ORIGINAL_DESTINATION] = OriginalDestination()
    for upstream in effective.proxy.upstreams:
        ref = _explicit(db, upstream)
        found[ref.cluster] = ref
    return Layers(found, inferred_clusters(db, _reach(db, effective)))


def _further_ports(instance: Service, effective: EffectiveProxy) -> tuple[int, ...]:
    """Of a workload that is not redirected, connections to other ports do not come by the sidecar."""
    return further_ports_of(instance) if effective.is_transparent else ()


def _local_app(effective: EffectiveProxy) -> LocalApp:
    proxy, settings = effective.proxy, effective.settings
    return LocalApp(
        address=proxy.local_service_address or "127.0.0.1",
        port=proxy.local_service_port,
        socket_path=proxy.local_service_socket_path,
        protocol=effective.protocol,
        connect_timeout_ms=settings.local_connect_timeout_ms,
        envoy_cluster_json=settings.envoy_local_cluster_json,
    )


def _exposed_cluster(port: int, effective: EffectiveProxy) -> str:
    return LOCAL_APP if port == effective.proxy.local_service_port else f"exposed_cluster_{port}"


def _endpoints(db: Db, effective: EffectiveProxy) -> Mapping[str, Ref]:
    found: dict[str, Ref] = {}
    for upstream in effective.proxy.upstreams:
        ref = _explicit(db, upstream)
        here = ref.datacenter == datacenter(db)
        found[ref.cluster] = EndpointsRef(ref.cluster, ref.service if here else "")
    return Layers(found, inferred_endpoints(db, _reach(db, effective)))


# Listeners


def _own_listeners(db: Db, instance: Service, effective: EffectiveProxy) -> dict[str, Ref]:
    settings, access = effective.settings, callers(db, _service(effective))
    by_hand = settings.envoy_public_listener_json
    registered = settings.bind_address or instance.address
    public = PublicListener(
        address=registered if is_ip(registered) else _ANY_IPV4,
        port=settings.bind_port or instance.port,
        protocol=effective.protocol,
        envoy_listener_json=by_hand,
        rules=source_rules(access) if by_hand else None,
        further_ports=_further_ports(instance, effective),
    )
    found: dict[str, Ref] = {public.name: public}
    for number in (OWN_PORT, *public.further_ports):
        found[allowed_sources_name(number)] = AllowedSourcesRef(access, number)
    for path in effective.proxy.expose.paths:
        exposed = ExposedPath(
            address=public.address,
            listener_port=path.listener_port,
            path=path.path,
            protocol=path.protocol or "http",
            cluster=_exposed_cluster(path.local_path_port, effective),
        )
        found[exposed.name] = exposed
    return found


def _ways_out(db: Db, effective: EffectiveProxy) -> dict[str, Ref]:
    found: dict[str, Ref] = {}
    reach = _reach(db, effective)
    for upstream in effective.proxy.upstreams:
        if upstream.local_bind_socket_path or upstream.local_bind_port:
            ref = _explicit(db, upstream)
            listener = UpstreamListener(
                identifier=ref.identifier,
                destination=destination_of(ref),
                address=upstream.local_bind_address or _LOOPBACK,
                port=upstream.local_bind_port,
                socket_path=upstream.local_bind_socket_path,
                socket_mode=upstream.local_bind_socket_mode,
                refused=_is_refused(db, ref, effective, reach),
                envoy_listener_json=ref.settings.envoy_listener_json,
            )
            found[listener.name] = listener
    if effective.is_transparent:
        port = effective.outbound_listener_port
        named = tuple(_explicit_here(db, effective))
        found[outbound_listener_name(port)] = OutboundListenerRef(port, reach, named)
    return found


def _is_refused(db: Db, ref: ExplicitUpstreamRef, effective: EffectiveProxy, reach: Reach) -> bool:
    judged = effective.is_transparent and ref.service and ref.datacenter == datacenter(db)
    return bool(judged) and not reach.access.allows(ref.service)


# Routes


def _routes(db: Db, effective: EffectiveProxy) -> Mapping[str, Ref]:
    found: dict[str, Ref] = {}
    for upstream in effective.proxy.upstreams:
        ref = _explicit(db, upstream)
        if is_http_like(ref.settings.protocol or TCP):
            found[ref.identifier] = UpstreamRoutes(ref.identifier, ref.target, ref.cluster)
    if is_http_like(effective.protocol):
        rules = source_rules(callers(db, _service(effective)))
        found[PUBLIC_ROUTES] = PublicRoutes(rules, effective.settings.local_request_timeout_ms)
    return Layers(found, inferred_routes(db, _reach(db, effective)))
