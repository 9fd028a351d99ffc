"""From refs to views: looks up, in the mesh's derived values, what a resource is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from pellucid.derive import instances
from pellucid.derive.engine import Db
from pellucid.derive.entries import mesh_destinations_only
from pellucid.derive.identity import datacenter, leaf, trust_bundle, trust_domain
from pellucid.derive.instances import (
    direct_addresses,
    further_ports,
    known_services,
    mesh_services,
    virtual_addresses,
)
from pellucid.derive.upstreams import inferred_settings
from pellucid.model.config_entries import UpstreamConfig
from pellucid.model.names import SpiffeServiceId, service_sni, target_id
from pellucid.rules.access import Access
from pellucid.rules.protocol import TCP
from pellucid.rules.proxy_config import DEFAULT_CONNECT_TIMEOUT_MS
from pellucid.rules.virtual import IPV4_POOL, IPV6_POOL, number_of
from pellucid.xds import refs
from pellucid.xds.resources import View
from pellucid.xds.resources.messages import is_ip
from pellucid.xds.shared import Ref
from pellucid.xds.view import (
    OWN_PORT,
    AllowedSources,
    Captured,
    Certificate,
    Destination,
    Dialled,
    Endpoint,
    Endpoints,
    OutboundListener,
    PassthroughCluster,
    SourceRules,
    TrustBundle,
    UpstreamCluster,
    further_cluster_name,
)

_UNLISTED = "unlisted"


class NotYetError(LookupError):
    """What a resource needs is not there yet."""


def view_of(db: Db, ref: Ref) -> View:
    """What the resource of a ref is made of. Raises NotYetError."""
    match ref:
        case refs.UpstreamRef():
            return _inferred_cluster(db, ref)
        case refs.ExplicitUpstreamRef():
            return _cluster(db, ref.cluster, ref.service, ref.datacenter, ref.settings)
        case refs.PassthroughRef():
            return _passthrough(db, ref)
        case refs.EndpointsRef():
            return _endpoints(db, ref)
        case refs.AllowedSourcesRef():
            return msgspec.structs.replace(allowed_sources(db, ref.access), port=ref.port)
        case refs.OutboundListenerRef():
            return _outbound_listener(db, ref)
        case refs.LeafRef():
            return _certificate(db, ref)
        case refs.RootsRef():
            return _trust_bundle(db)
    return ref  # type: ignore[return-value] # what is no ref of the above is a view itself


def source_rules(access: Access) -> SourceRules:
    """Who is let in, in an order that does not vary."""
    return SourceRules(access.otherwise, tuple(sorted(access.exceptions)))


def sni(db: Db, service: str, where: str = "") -> str:
    """The SNI of a service, which also names its cluster. where: a datacenter, empty for this one."""
    return service_sni(service, where or datacenter(db), trust_domain(db))


def spiffe_uri(db: Db, service: str, where: str = "") -> str:
    """The identity of a service. where: a datacenter, empty for this one."""
    return SpiffeServiceId(trust_domain(db), where or datacenter(db), service).uri()


def upstream_protocol(db: Db, service: str, reach: refs.Reach) -> str:
    """What an upstream that no registration names is spoken to in."""
    return inferred_settings(db, service, reach.caller, reach.mesh_gateway).protocol or TCP


# Clusters and endpoints


def _inferred_cluster(db: Db, ref: refs.UpstreamRef) -> UpstreamCluster:
    settings = inferred_settings(db, ref.service, ref.caller, ref.mesh_gateway)
    if not ref.further_port:
        return _cluster(db, sni(db, ref.service), ref.service, "", settings)
    cluster = _cluster(db, sni(db, ref.service), ref.service, "", settings)
    name = further_cluster_name(cluster.sni, ref.further_port)
    return msgspec.structs.replace(cluster, name=name, protocol=TCP)


def _cluster(db: Db, name: str, service: str, where: str, settings: UpstreamConfig) -> UpstreamCluster:
    return UpstreamCluster(
        name=name,
        sni=name,
        spiffe_uris=(spiffe_uri(db, service, where),),
        protocol=settings.protocol or TCP,
        connect_timeout_ms=settings.connect_timeout_ms or DEFAULT_CONNECT_TIMEOUT_MS,
        settings=settings,
    )


def _passthrough(db: Db, ref: refs.PassthroughRef) -> PassthroughCluster:
    name = sni(db, ref.service)
    return PassthroughCluster(f"passthrough~{name}", name, (spiffe_uri(db, ref.service),))


def _endpoints(db: Db, ref: refs.EndpointsRef) -> Endpoints:
    known: tuple[instances.Endpoint, ...] = ()
    if ref.further_port:
        known = instances.further_endpoints(db, ref.service, ref.further_port)
    elif ref.service:
        known = instances.endpoints(db, ref.service)
    return Endpoints(
        ref.cluster,
        tuple(
            Endpoint(found.address, found.port, found.healthy, found.weight)
            for found in known
            if is_ip(found.address)  # EDS takes no host names
        ),
    )


# The way in


def allowed_sources(db: Db, access: Access) -> AllowedSources:
    """The identities that are let in.

    With a default allow, identities that the catalog does not know share one chain; when an intention
    denies one of them by name, that chain gets another name, which ends what is open on it.
    """
    if not access.otherwise:
        return AllowedSources(tuple(spiffe_uri(db, name) for name in sorted(access.exceptions)))
    known = known_services(db)
    unknown = sorted(access.exceptions.difference(known))
    return AllowedSources(
        spiffe_uris=tuple(spiffe_uri(db, name) for name in known if name not in access.exceptions),
        refused_spiffe_uris=tuple(spiffe_uri(db, name) for name in sorted(access.exceptions)),
        unlisted=f"{_UNLISTED}~{_digest(unknown)}" if unknown else _UNLISTED,
    )


def _digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]


# The ways out


def _outbound_listener(db: Db, ref: refs.OutboundListenerRef) -> OutboundListener:
    captured = (*_captured_explicit(db, ref), *_captured_inferred(db, ref.reach))
    return OutboundListener(
        port=ref.port,
        captured=captured,
        refused=_refused(db, ref.reach),
        refused_pools=(str(IPV4_POOL), str(IPV6_POOL)),
        mesh_destinations_only=mesh_destinations_only(db),
    )


def _captured_explicit(db: Db, ref: refs.OutboundListenerRef) -> Iterator[Captured]:
    for upstream in ref.named:
        if ref.reach.access.allows(upstream.service):
            yield from _captured(db, upstream.service, destination_of(upstream))


def _captured_inferred(db: Db, reach: refs.Reach) -> Iterator[Captured]:
    for service in mesh_services(db):
        if reach.access.allows(service) and service not in reach.named:
            protocol = upstream_protocol(db, service, reach)
            target = target_id(service, datacenter(db))
            yield from _captured(db, service, Destination(target, sni(db, service), protocol, service))


def _captured(db: Db, service: str, destination: Destination) -> Iterator[Captured]:
    for port in (OWN_PORT, *further_ports(db, service)):
        if virtual := _virtual(db, service, port):
            yield Captured(virtual, _on_port(db, service, destination, port))
    if direct := _direct(db, service):
        yield Captured(direct, Destination(destination.target, f"passthrough~{sni(db, service)}"))


def _refused(db: Db, reach: refs.Reach) -> tuple[Dialled, ...]:
    """Each address of a service that is refused, unless the pools have it."""
    found = {
        address
        for service in mesh_services(db)
        if not reach.access.allows(service)
        for port in (OWN_PORT, *further_ports(db, service))
        for address in (*_virtual(db, service, port), *_direct(db, service))
        if number_of(address.ip) is None
    }
    return tuple(sorted(found))


def _on_port(db: Db, service: str, destination: Destination, port: int) -> Destination:
    """The same service on one of its further ports; nothing is known of the protocol there."""
    if port == OWN_PORT:
        return destination
    return Destination(destination.target, further_cluster_name(sni(db, service), port))


def _virtual(db: Db, service: str, leading_to: int) -> tuple[Dialled, ...]:
    return tuple(
        Dialled(address.ip, address.port)
        for address in virtual_addresses(db, service)
        if address.further == leading_to
    )


def _direct(db: Db, service: str) -> tuple[Dialled, ...]:
    return tuple(Dialled(address) for address in direct_addresses(db, service))


def destination_of(upstream: refs.ExplicitUpstreamRef) -> Destination:
    """Where the connections to an upstream of the registration go."""
    protocol = upstream.settings.protocol or TCP
    return Destination(upstream.target, upstream.cluster, protocol, upstream.identifier)


# Certificates


def _certificate(db: Db, ref: refs.LeafRef) -> Certificate:
    current = leaf(db, ref.service)
    if current is None:
        raise NotYetError(f"service {ref.service!r} has no certificate yet")
    return Certificate(current.cert_chain_pem, current.private_key_pem)


def _trust_bundle(db: Db) -> TrustBundle:
    pem = trust_bundle(db)
    if not pem:
        raise NotYetError("the mesh has no certificate authority yet")
    return TrustBundle(pem)
