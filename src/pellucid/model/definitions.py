"""Registrations as clients send them: service definitions, check definitions, sidecar definitions.

These are the shapes of `PUT /v1/agent/service/register`, `PUT /v1/agent/check/register` and of
`service {}` and `check {}` blocks in files; field names follow `wire`. HTTP bodies are read by
`go_json.decode` (strict), files by `decoding` (weak). `Proxy` and its parts are the same in a
definition and in the store. `rules.registration` checks a definition and makes of it the `Service`
and `CheckDefinition` values the store keeps.

Source: Consul 1.10 docs, "Service Definition", "Check Definition", "Agent HTTP API";
agent/structs/{service_definition,check_type,connect_proxy_config}.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.model.durations import Duration
from pellucid.model.services import Proxy, ServiceAddress


class CheckType(msgspec.Struct, frozen=True):
    """A check inside a service definition; which fields are set says of what type it is."""

    check_id: str = ""
    id: str = ""
    """The same as `check_id`, which wins."""
    name: str = ""
    status: str = ""
    notes: str = ""
    script_args: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    """The same as `script_args`, which wins."""
    http: str = ""
    header: Mapping[str, tuple[str, ...]] | None = None
    method: str = ""
    body: str = ""
    tcp: str = ""
    interval: Duration = 0
    alias_node: str = ""
    alias_service: str = ""
    docker_container_id: str = ""
    shell: str = ""
    h2ping: str = ""
    grpc: str = ""
    grpc_use_tls: bool = False
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    timeout: Duration = 0
    ttl: Duration = 0
    success_before_passing: int = 0
    failures_before_critical: int = 0
    proxy_http: str = ""
    proxy_grpc: str = ""
    deregister_critical_service_after: Duration = 0
    output_max_size: int = 0


class CheckRegistration(CheckType, frozen=True):
    """A check registered by itself, for a service (`service_id`) or for the node."""

    service_id: str = ""
    token: str = ""
    namespace: str = ""


class WeightsDefinition(msgspec.Struct, frozen=True):
    """Load-balancing weights as given; a part left out is 0, which is no valid `passing` weight."""

    passing: int = 0
    warning: int = 0


class ServiceFields(msgspec.Struct, frozen=True):
    """What a service and a sidecar say of themselves alike."""

    kind: str = ""
    id: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    address: str = ""
    tagged_addresses: Mapping[str, ServiceAddress] | None = None
    meta: Mapping[str, str] | None = None
    port: int = 0
    socket_path: str = ""
    check: CheckType | None = None
    checks: tuple[CheckType, ...] = ()
    weights: WeightsDefinition | None = None
    token: str = ""
    enable_tag_override: bool = False
    proxy: Proxy | None = None


class NestedConnectDefinition(msgspec.Struct, frozen=True):
    """The `Connect` of a sidecar; a sidecar inside it is read only to be refused."""

    native: bool = False
    sidecar_service: Mapping[str, Any] | None = None


class SidecarServiceDefinition(ServiceFields, frozen=True):
    """A sidecar as its service asks for it; what it leaves out is taken from the service."""

    connect: NestedConnectDefinition | None = None


class ConnectDefinition(msgspec.Struct, frozen=True):
    """How a service takes part in the mesh: by itself (`native`) or through a sidecar made for it."""

    native: bool = False
    sidecar_service: SidecarServiceDefinition | None = None


class ServiceDefinition(ServiceFields, frozen=True):
    """A service as a client registers it."""

    connect: ConnectDefinition | None = None
