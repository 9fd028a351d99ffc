"""The sidecar that a service asks for with `Connect.SidecarService`.

It gets the parent's address, tags and metadata, a name, an id and a port of its own, and two checks
(is it listening, is its parent healthy), except where its definition says otherwise.

Source: Consul 1.10 docs, "Sidecar Service Registration"; agent/sidecar_service.go.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pellucid.model.addresses import host_and_port
from pellucid.model.definitions import CheckType, SidecarServiceDefinition
from pellucid.model.durations import SECOND
from pellucid.model.go_text import errors_occurred
from pellucid.model.services import Proxy, Service, ServiceKind
from pellucid.rules.service_definition import (
    DEFAULT_BIND_ADDRESS,
    RegistrationError,
    check_service_definition,
    service_of,
    structural_errors,
)

SUFFIX = "-sidecar-proxy"
CHECK_INTERVAL_NS = 10 * SECOND


class SidecarError(RegistrationError):
    """The sidecar asked for cannot be made; Consul answers this one with 500."""


class SidecarPorts(msgspec.Struct, frozen=True):
    """The range sidecars get their ports from, both ends included; 0 turns the choosing off."""

    minimum: int = 21000
    maximum: int = 21255


SIDECAR_PORTS = SidecarPorts()
"""The range when the agent's configuration names none."""


def expand_sidecar(
    definition: SidecarServiceDefinition,
    parent: Service,
    ports_in_use: Mapping[str, int],
    ports: SidecarPorts = SIDECAR_PORTS,
) -> Service:
    """The sidecar of `parent`, complete and checked.

    ports_in_use: the port of every service of this agent, by service id. Raises SidecarError.
    """
    try:
        sidecar = _sidecar_of(definition, parent, ports_in_use, ports)
    except RegistrationError as error:
        raise SidecarError(f"Bad request: Invalid SidecarService: {error}") from error
    if faults := structural_errors(sidecar):
        raise SidecarError(f"Bad request: Invalid SidecarService: {errors_occurred(faults)}")
    return sidecar


def default_checks(sidecar: Service, parent: Service) -> tuple[CheckType, ...]:
    """The checks of a sidecar that defines none of its own."""
    address = sidecar.proxy.local_service_address or DEFAULT_BIND_ADDRESS
    return (
        CheckType(
            name="Connect Sidecar Listening",
            tcp=host_and_port(address, sidecar.port),
            interval=CHECK_INTERVAL_NS,
        ),
        CheckType(name=f"Connect Sidecar Aliasing {parent.id}", alias_service=parent.id),
    )


def sidecar_id(service_id: str) -> str:
    """The id of the sidecar made for a service."""
    return service_id + SUFFIX


def sidecar_port(own_id: str, ports_in_use: Mapping[str, int], ports: SidecarPorts) -> int:
    """The port of a sidecar that names none: the one it has already, else the lowest free one.

    Raises SidecarError when the range is off or used up.
    """
    if ports.minimum < 1 or ports.maximum < 1:
        raise SidecarError("no port provided for sidecar_service and auto-assignment disabled in config")
    own = ports_in_use.get(own_id, 0)
    if ports.minimum <= own <= ports.maximum:
        return own
    taken = frozenset(ports_in_use.values())
    for port in range(ports.minimum, ports.maximum + 1):
        if port not in taken:
            return port
    raise SidecarError(
        "no port provided for sidecar_service and none left in the configured range "
        f"[{ports.minimum}, {ports.maximum}]"
    )


def _sidecar_of(
    definition: SidecarServiceDefinition,
    parent: Service,
    ports_in_use: Mapping[str, int],
    ports: SidecarPorts,
) -> Service:
    own_id = sidecar_id(parent.id)
    taken = {**ports_in_use, parent.id: parent.port}
    address = definition.address or parent.address
    port = definition.port or sidecar_port(own_id, taken, ports)
    definition = msgspec.structs.replace(
        definition,
        kind=definition.kind or ServiceKind.CONNECT_PROXY.value,
        id=own_id,
        name=definition.name or parent.name + SUFFIX,
        tags=definition.tags or parent.tags,
        meta=definition.meta or parent.meta,
        address=address,
        port=port,
        proxy=_sidecar_proxy_of(definition.proxy or Proxy(), parent),
    )
    check_service_definition(definition)
    sidecar = service_of(definition, node=parent.node, origin=parent.origin)
    return msgspec.structs.replace(sidecar, locally_registered_as_sidecar=True)


def _sidecar_proxy_of(proxy: Proxy, parent: Service) -> Proxy:
    proxy = msgspec.structs.replace(
        proxy,
        destination_service_name=proxy.destination_service_name or parent.name,
        destination_service_id=proxy.destination_service_id or parent.id,
    )
    if proxy.local_service_socket_path:
        return proxy
    if parent.socket_path and not (proxy.local_service_address or proxy.local_service_port):
        return msgspec.structs.replace(proxy, local_service_socket_path=parent.socket_path)
    return msgspec.structs.replace(
        proxy,
        local_service_address=proxy.local_service_address or DEFAULT_BIND_ADDRESS,
        local_service_port=proxy.local_service_port or parent.port,
    )
