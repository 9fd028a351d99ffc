"""A service definition checked, and made into the `Service` the store keeps.

Faults of the first kind (name, address, port, weights, metadata) are reported one at a time, faults
in how the parts fit together (`structural_errors`) all at once, both in Consul's words and order.
Ports out of range are refused here although Consul takes them.

Source: Consul 1.10 docs, "Service Definition", "Proxy Service Registration";
agent/structs/{structs,service_definition,connect_proxy_config}.go (Validate).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, ip_address

import msgspec

from pellucid.model.addresses import host_and_port
from pellucid.model.definitions import (
    ConnectDefinition,
    ServiceDefinition,
    ServiceFields,
    SidecarServiceDefinition,
    WeightsDefinition,
)
from pellucid.model.go_text import quote
from pellucid.model.names import WILDCARD
from pellucid.model.services import (
    Origin,
    Proxy,
    Service,
    ServiceAddress,
    ServiceKind,
    Upstream,
    Weights,
)

DEFAULT_BIND_ADDRESS = "127.0.0.1"

_MAX_PORT = 65535
_META_MAX_PAIRS = 64
_META_KEY_MAX = 128
_META_VALUE_MAX = 512
_META_KEY = re.compile(r"[a-zA-Z0-9_-]+")
_META_RESERVED_PREFIX = "consul-"
_META_FOR_MESH_GATEWAYS = frozenset({"consul-wan-federation"})
_EXPOSE_PROTOCOLS = ("http", "http2")


class RegistrationError(ValueError):
    """The definition cannot be registered; the text is the one Consul answers with (400)."""


def check_service_definition(definition: ServiceFields) -> None:
    """Raise RegistrationError for a name, address, port, weight or metadata that no service can have."""
    if not definition.name:
        raise RegistrationError("Missing service name")
    if definition.address in ("0.0.0.0", "::", "[::]"):  # noqa: S104 - refused, not bound
        raise RegistrationError("Invalid service address")
    if not 0 <= definition.port <= _MAX_PORT:
        raise RegistrationError(_bad_port("service port", definition.port))
    if definition.weights is not None and (fault := _weights_error(definition.weights)):
        raise RegistrationError(f"Invalid Weights: {fault}")
    if fault := service_meta_error(definition.meta or {}, _kind_of(definition)):
        raise RegistrationError(f"Invalid Service Meta: {fault}")


def service_of(
    definition: ServiceDefinition | SidecarServiceDefinition, *, node: str, origin: Origin = Origin.API
) -> Service:
    """The service a definition describes, defaults filled in, nothing checked but its kind.

    Raises RegistrationError for a kind that does not exist.
    """
    weights = definition.weights
    return Service(
        node=node,
        id=definition.id or definition.name,
        name=definition.name,
        kind=_kind_of(definition),
        tags=definition.tags,
        address=definition.address,
        tagged_addresses=tagged_addresses_of(
            definition.address, definition.port, definition.tagged_addresses
        ),
        meta=definition.meta,
        port=definition.port,
        socket_path=definition.socket_path,
        weights=Weights(weights.passing, weights.warning) if weights else Weights(),
        enable_tag_override=definition.enable_tag_override,
        proxy=_proxy_of(definition.proxy) if definition.proxy else Proxy(),
        connect_native=definition.connect is not None and definition.connect.native,
        origin=origin,
    )


def tagged_addresses_of(
    address: str, port: int, given: Mapping[str, ServiceAddress] | None
) -> Mapping[str, ServiceAddress] | None:
    """The tagged addresses given, plus `lan_*` and `wan_*` of the address's IP family where missing."""
    try:
        family = "ipv4" if isinstance(ip_address(address), IPv4Address) else "ipv6"
    except ValueError:
        return given
    own = ServiceAddress(address, port)
    return {f"lan_{family}": own, f"wan_{family}": own} | dict(given or {})


def structural_errors(service: Service, connect: ConnectDefinition | None = None) -> tuple[str, ...]:
    """Everything wrong with how the parts of a service fit together, in Consul's words and order.

    connect: the `Connect` block as given, to judge a nested sidecar; None when there is none.
    """
    faults: list[str] = []
    if service.kind is ServiceKind.CONNECT_PROXY:
        faults += _connect_proxy_errors(service)
    sidecar = connect.sidecar_service if connect else None
    if service.kind in (
        ServiceKind.MESH_GATEWAY,
        ServiceKind.TERMINATING_GATEWAY,
        ServiceKind.INGRESS_GATEWAY,
    ):
        faults += _gateway_errors(service, has_sidecar=sidecar is not None)
    if sidecar is not None:
        if sidecar.id:
            faults.append("A SidecarService cannot specify an ID as this is managed by the agent")
        if sidecar.connect is not None and sidecar.connect.sidecar_service is not None:
            faults.append("A SidecarService cannot have a nested SidecarService")
    return tuple(faults)


def service_meta_error(meta: Mapping[str, str], kind: ServiceKind = ServiceKind.TYPICAL) -> str | None:
    """What is wrong with the metadata of a service, in Consul's words; None when nothing is."""
    if len(meta) > _META_MAX_PAIRS:
        return f"Node metadata cannot contain more than {_META_MAX_PAIRS} key/value pairs"
    allowed = _META_FOR_MESH_GATEWAYS if kind is ServiceKind.MESH_GATEWAY else frozenset()
    for key, value in sorted(meta.items()):
        if fault := _meta_pair_error(key, value, allowed):
            return f"Couldn't load metadata pair ('{key}', '{value}'): {fault}"
    return None


def bind_address_of(upstream: Upstream) -> str:
    """Where the proxy listens for an explicit upstream: `127.0.0.1:1234`, or a unix socket's path."""
    if upstream.local_bind_socket_path:
        return upstream.local_bind_socket_path
    address = upstream.local_bind_address or DEFAULT_BIND_ADDRESS
    return host_and_port(address, upstream.local_bind_port)


def _bad_port(what: str, port: int) -> str:
    return f"Invalid {what}: {port} is not between 0 and {_MAX_PORT}"


def _weights_error(weights: WeightsDefinition) -> str | None:
    if weights.passing < 1:
        return "Passing must be greater than 0"
    if weights.warning < 0:
        return "Warning must be greater or equal than 0"
    if weights.passing > _MAX_PORT or weights.warning > _MAX_PORT:
        return "DNS Weight must be between 0 and 65535"
    return None


def _meta_pair_error(key: str, value: str, allowed: frozenset[str]) -> str | None:
    if not key:
        return "Key cannot be blank"
    if not _META_KEY.fullmatch(key):
        return "Key contains invalid characters"
    if len(key) > _META_KEY_MAX:
        return f"Key is too long (limit: {_META_KEY_MAX} characters)"
    if key.startswith(_META_RESERVED_PREFIX) and key not in allowed:
        return f"Key prefix '{_META_RESERVED_PREFIX}' is reserved for internal use"
    if len(value) > _META_VALUE_MAX:
        return f"Value is too long (limit: {_META_VALUE_MAX} characters)"
    return None


def _kind_of(definition: ServiceFields) -> ServiceKind:
    try:
        return ServiceKind(definition.kind)
    except ValueError:
        known = ", ".join(quote(kind.value) for kind in ServiceKind)
        raise RegistrationError(
            f"Invalid service kind: {quote(definition.kind)} is none of {known}"
        ) from None


def _proxy_of(given: Proxy) -> Proxy:
    return msgspec.structs.replace(given, upstreams=tuple(map(_upstream_of, given.upstreams)))


def _upstream_of(given: Upstream) -> Upstream:
    return msgspec.structs.replace(given, destination_type=given.destination_type or "service")


def _connect_proxy_errors(service: Service) -> Iterator[str]:
    proxy = service.proxy
    if not proxy.destination_service_name.strip():
        yield "Proxy.DestinationServiceName must be non-empty for Connect proxy services"
    if proxy.destination_service_name == WILDCARD:
        yield "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services"
    if not service.port and not service.socket_path:
        yield "Port or SocketPath must be set for a Connect proxy"
    if service.connect_native:
        yield "A Proxy cannot also be Connect Native, only typical services"
    if not 0 <= proxy.local_service_port <= _MAX_PORT:
        yield _bad_port("Proxy.LocalServicePort", proxy.local_service_port)
    yield from _upstreams_errors(proxy.upstreams)
    yield from _expose_errors(proxy)


def _upstreams_errors(upstreams: tuple[Upstream, ...]) -> Iterator[str]:
    keys: set[str] = set()
    addresses: set[str] = set()
    for upstream in upstreams:
        if fault := _upstream_error(upstream):
            yield fault
            continue
        key = _upstream_key(upstream)
        address = bind_address_of(upstream)
        if key in keys:
            yield f"upstreams cannot contain duplicates of {key}"
        elif address in addresses:
            yield (
                "upstreams cannot contain duplicates by local bind address and port or unix path; "
                f"{quote(address)} is specified twice"
            )
        keys.add(key)
        addresses.add(address)


def _upstream_error(upstream: Upstream) -> str | None:
    if upstream.destination_type not in ("", "service", "prepared_query"):
        return f"unknown upstream destination type: {quote(upstream.destination_type)}"
    if not upstream.destination_name:
        return "upstream destination name cannot be empty"
    if upstream.destination_name == WILDCARD:
        return "upstream destination name cannot be a wildcard"
    if not upstream.local_bind_port and not upstream.local_bind_socket_path:
        return "upstream local bind port or local socket path must be defined and nonzero"
    if upstream.local_bind_port and upstream.local_bind_socket_path:
        return "only one of upstream local bind port or local socket path can be defined and nonzero"
    if not 0 <= upstream.local_bind_port <= _MAX_PORT:
        return _bad_port("upstream local bind port", upstream.local_bind_port)
    return None


def _upstream_key(upstream: Upstream) -> str:
    return (
        f"[type={quote(upstream.destination_type)}, name={quote(upstream.destination_name)}, "
        f"namespace={quote(upstream.destination_namespace)}, datacenter={quote(upstream.datacenter)}]"
    )


def _expose_errors(proxy: Proxy) -> Iterator[str]:
    ports: set[int] = set()
    for exposed in proxy.expose.paths:
        if not exposed.path:
            yield "expose.paths: empty path exposed"
        if exposed.listener_port in ports:
            yield "expose.paths: duplicate listener ports exposed"
        if not 0 < exposed.listener_port <= _MAX_PORT:
            yield f"expose.paths: invalid listener port: {exposed.listener_port}"
        if exposed.protocol and exposed.protocol.lower() not in _EXPOSE_PROTOCOLS:
            supported = " ".join(_EXPOSE_PROTOCOLS)
            yield (
                f"protocol '{exposed.protocol.lower()}' not supported for path: {exposed.path}, "
                f"must be in: [{supported}]"
            )
        ports.add(exposed.listener_port)


def _gateway_errors(service: Service, *, has_sidecar: bool) -> Iterator[str]:
    kind, proxy = service.kind.value, service.proxy
    if not service.port and service.kind is not ServiceKind.INGRESS_GATEWAY:
        yield f"Port must be non-zero for a {kind}"
    if has_sidecar:
        yield f"A {kind} cannot have a sidecar service defined"
    for field, value in (
        ("DestinationServiceName", proxy.destination_service_name),
        ("DestinationServiceID", proxy.destination_service_id),
        ("LocalServiceAddress", proxy.local_service_address),
        ("LocalServicePort", proxy.local_service_port),
        ("LocalServiceSocketPath", proxy.local_service_socket_path),
        ("Upstreams", proxy.upstreams),
    ):
        if value:
            yield f"The Proxy.{field} configuration is invalid for a {kind}"
