"""`ingress-gateway`: which services a gateway offers to clients outside the mesh, on which ports.

Source: Consul 1.10 docs, "Ingress Gateway"; agent/structs/config_entry_gateways.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec
from msgspec.structs import replace

from pellucid.model.config_entries.shared import require, validate_meta
from pellucid.model.go_text import quote
from pellucid.model.names import WILDCARD
from pellucid.model.wire import AlwaysWritten

PROTOCOLS = frozenset(("tcp", "http", "http2", "grpc"))

_HOST_MAX_LENGTH = 254
_LABEL_MAX_LENGTH = 63


class GatewayTLSConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether clients speak TLS to the gateway."""

    enabled: AlwaysWritten[bool] = False


class IngressService(msgspec.Struct, frozen=True, omit_defaults=True):
    """A service (or `*`) behind a listener; with several, `hosts` tells requests apart."""

    name: AlwaysWritten[str] = ""
    hosts: AlwaysWritten[tuple[str, ...]] = ()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)


class IngressListener(msgspec.Struct, frozen=True, omit_defaults=True):
    """One port of the gateway."""

    port: AlwaysWritten[int] = 0
    protocol: AlwaysWritten[str] = ""
    services: AlwaysWritten[tuple[IngressService, ...]] = ()


class IngressGateway(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="ingress-gateway"
):
    """The listeners of the gateway service called `name`."""

    kind: ClassVar[Literal["ingress-gateway"]] = "ingress-gateway"

    name: AlwaysWritten[str] = ""
    tls: GatewayTLSConfig = GatewayTLSConfig()
    listeners: AlwaysWritten[tuple[IngressListener, ...]] = ()
    meta: Mapping[str, str] = msgspec.field(default_factory=dict)

    def normalized(self) -> IngressGateway:
        """With protocols in lower case, tcp where none is given."""
        listeners = tuple(
            replace(listener, protocol=listener.protocol.lower() or "tcp") for listener in self.listeners
        )
        return replace(self, listeners=listeners)

    def validate(self) -> None:
        """Raises ConfigEntryError naming the first listener that is wrong."""
        validate_meta(self.meta)
        ports: set[int] = set()
        for listener in self.listeners:
            require(listener.port not in ports, f"port {listener.port} declared on two listeners")
            ports.add(listener.port)
            _validate_listener(listener, self.tls.enabled)


def _validate_listener(listener: IngressListener, tls_enabled: bool) -> None:
    at = f"(listener on port {listener.port})"
    require(
        listener.protocol in PROTOCOLS,
        "protocol must be 'tcp', 'http', 'http2', or 'grpc'. "
        f"'{listener.protocol}' is an unsupported protocol",
    )
    require(bool(listener.services), f"No service declared for listener with port {listener.port}")
    require(
        listener.protocol == "http" or len(listener.services) == 1,
        f"Multiple services per listener are only supported for protocol = 'http' {at}",
    )
    names: set[str] = set()
    hosts: set[str] = set()
    for service in listener.services:
        _validate_service(service, listener.protocol, at)
        require(service.name not in names, f"Service {service.name} cannot be added multiple times {at}")
        names.add(service.name)
        for host in service.hosts:
            require(host not in hosts, f"Hosts must be unique within a specific listener {at}")
            hosts.add(host)
            _validate_host(host, tls_enabled)


def _validate_service(service: IngressService, protocol: str, at: str) -> None:
    if protocol == "tcp":
        require(service.name != WILDCARD, f"Wildcard service name is only valid for protocol = 'http' {at}")
        require(
            not service.hosts, f"Associating hosts to a service is not supported for the tcp protocol {at}"
        )
    require(bool(service.name), f"Service name cannot be blank {at}")
    require(
        service.name != WILDCARD or not service.hosts,
        f"Associating hosts to a wildcard service is not supported {at}",
    )


def _validate_host(host: str, tls_enabled: bool) -> None:
    if host == WILDCARD:
        require(
            not tls_enabled,
            "Host '*' is not allowed when TLS is enabled, "
            "all hosts must be valid DNS records to add as a DNSSAN",
        )
        return
    require(_is_domain_name(host), f"Host {quote(host)} must be a valid DNS hostname")
    require(
        WILDCARD not in host.removeprefix("*."),
        f"Host {quote(host)} is not valid, a wildcard specifier is only allowed as the leftmost label",
    )


def _is_domain_name(host: str) -> bool:
    """True for labels of 1 to 63 bytes joined by dots, with or without a dot at the end (RFC 1035, 2.3.4)."""
    labels = host.removesuffix(".").encode().split(b".")
    return len(host.encode()) <= _HOST_MAX_LENGTH and all(
        0 < len(label) <= _LABEL_MAX_LENGTH for label in labels
    )
