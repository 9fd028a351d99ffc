"""Services, their proxies and the nodes they run on: what a registration says.

These are the registrations as given (defaults of the registration itself filled in, nothing
merged from config entries); `rules.effective` says what a proxy's settings come to.
Create and modify indexes are not part of a value: the store keeps them beside it.

Source: Consul 1.10 docs, "Service Definition", "Proxy Service Registration", "Catalog HTTP API".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from pellucid.model.weak_types import TypeMismatch, as_bool


class ServiceKind(StrEnum):
    """What a registered service is; the empty kind is an ordinary ("typical") service."""

    TYPICAL = ""
    CONNECT_PROXY = "connect-proxy"
    MESH_GATEWAY = "mesh-gateway"
    TERMINATING_GATEWAY = "terminating-gateway"
    INGRESS_GATEWAY = "ingress-gateway"


class Origin(StrEnum):
    """How a registration came in, which decides what a reload drops and what the agent lists."""

    API = "api"
    """PUT /v1/agent/service/register on this agent."""
    FILE = "file"
    """A service definition in the agent's configuration."""
    CATALOG = "catalog"
    """PUT /v1/catalog/register: known to the catalog, run by no agent of ours."""


class Node(msgspec.Struct, frozen=True):
    """A machine (or stand-in for one) that services are registered on. Key: `name`."""

    name: str
    address: str
    id: str = ""
    datacenter: str = "dc1"
    tagged_addresses: Mapping[str, str] | None = None
    meta: Mapping[str, str] | None = None


class ServiceAddress(msgspec.Struct, frozen=True):
    """An address and port under a tag such as `lan_ipv4`, `wan` or `virtual`."""

    address: str
    port: int = 0


class Weights(msgspec.Struct, frozen=True):
    """Load-balancing weight of an instance while passing and while warning."""

    passing: int = 1
    warning: int = 1


class MeshGatewayConfig(msgspec.Struct, frozen=True):
    """How traffic to another datacenter travels: `""` (inherit), `none`, `local`, `remote`."""

    mode: str = ""


class TransparentProxyConfig(msgspec.Struct, frozen=True):
    """Settings that apply in transparent mode only; a port of 0 inherits (in effect 15001)."""

    outbound_listener_port: int = 0
    dialed_directly: bool = False


class ExposePath(msgspec.Struct, frozen=True):
    """One HTTP path reachable through the proxy without mutual TLS."""

    listener_port: int = 0
    path: str = ""
    local_path_port: int = 0
    protocol: str = "http"
    parsed_from_check: bool = False


class ExposeConfig(msgspec.Struct, frozen=True):
    """Which HTTP paths (and checks) are exposed outside the mesh."""

    checks: bool = False
    paths: tuple[ExposePath, ...] = ()


class Upstream(msgspec.Struct, frozen=True):
    """A destination a service names itself, with the local address its proxy listens on for it."""

    destination_name: str = ""
    destination_type: str = "service"
    destination_namespace: str = ""
    datacenter: str = ""
    local_bind_address: str = ""
    local_bind_port: int = 0
    local_bind_socket_path: str = ""
    local_bind_socket_mode: str = ""
    config: Mapping[str, Any] | None = None
    mesh_gateway: MeshGatewayConfig = MeshGatewayConfig()


class Proxy(msgspec.Struct, frozen=True):
    """What a sidecar (or gateway) registration says of itself. `mode`: `""`, `direct`, `transparent`."""

    destination_service_name: str = ""
    destination_service_id: str = ""
    local_service_address: str = ""
    local_service_port: int = 0
    local_service_socket_path: str = ""
    mode: str = ""
    config: Mapping[str, Any] | None = None
    upstreams: tuple[Upstream, ...] = ()
    transparent_proxy: TransparentProxyConfig = TransparentProxyConfig()
    mesh_gateway: MeshGatewayConfig = MeshGatewayConfig()
    expose: ExposeConfig = ExposeConfig()

    @classmethod
    def before_decoding(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Accept `TransparentProxy = true`."""
        return transparent_proxy_as_mode(data)


class Service(msgspec.Struct, frozen=True):
    """One registered instance of a service. Key: (`node`, `id`)."""

    node: str
    id: str
    name: str
    kind: ServiceKind = ServiceKind.TYPICAL
    tags: tuple[str, ...] = ()
    address: str = ""
    tagged_addresses: Mapping[str, ServiceAddress] | None = None
    meta: Mapping[str, str] | None = None
    port: int = 0
    socket_path: str = ""
    weights: Weights = Weights()
    enable_tag_override: bool = False
    proxy: Proxy = Proxy()
    connect_native: bool = False
    origin: Origin = Origin.API
    locally_registered_as_sidecar: bool = False
    """Made from its parent's `Connect.SidecarService`, so it goes when the parent goes."""

    @property
    def is_typical(self) -> bool:
        """True for an application, false for a proxy or gateway."""
        return self.kind is ServiceKind.TYPICAL

    @property
    def connect_name(self) -> str | None:
        """The service whose connections this instance receives over mutual TLS, if any."""
        if self.kind is ServiceKind.CONNECT_PROXY:
            return self.proxy.destination_service_name
        return self.name if self.connect_native else None


def transparent_proxy_as_mode(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The input with a boolean `TransparentProxy` said in today's words.

    The first releases of transparent mode wrote `TransparentProxy = true`; since 1.10.0 that is
    `Mode = "transparent"`, and the name holds a struct. True sets the mode unless the input
    sets one itself; false says nothing.
    """
    key = next((key for key in data if key.lower() in ("transparentproxy", "transparent_proxy")), None)
    turned_on = _weak_bool(data[key]) if key else None
    if turned_on is None:
        return data
    rest = {other: content for other, content in data.items() if other != key}
    if not turned_on or any(content for other, content in rest.items() if other.lower() == "mode"):
        return rest
    return {other: content for other, content in rest.items() if other.lower() != "mode"} | {
        "Mode": "transparent"
    }


def _weak_bool(value: Any) -> bool | None:
    """The boolean that `value` is or spells, if it does."""
    try:
        return as_bool(value, "")
    except TypeMismatch:
        return None
