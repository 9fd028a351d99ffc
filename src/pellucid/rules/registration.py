"""What a service registration comes to: everything the store is to keep of it.

    definition -> fields -> structure -> checks -> sidecar and its checks

The first step that finds a fault ends the registration with Consul's text, and nothing is kept.

Source: Consul 1.10 docs, "Agent Service HTTP API"; agent/agent_endpoint.go (AgentRegisterService).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pellucid.model.checks import CheckDefinition
from pellucid.model.definitions import CheckType, ServiceDefinition, ServiceFields
from pellucid.model.go_text import errors_occurred
from pellucid.model.services import Origin, Service
from pellucid.rules.checks import check_definitions, check_error, is_known_status
from pellucid.rules.service_definition import (
    RegistrationError,
    check_service_definition,
    service_of,
    structural_errors,
)
from pellucid.rules.sidecar import (
    SIDECAR_PORTS,
    SidecarError,
    SidecarPorts,
    default_checks,
    expand_sidecar,
)


class Registration(msgspec.Struct, frozen=True):
    """A registration complete: what the store is to keep."""

    service: Service
    checks: tuple[CheckDefinition, ...] = ()
    sidecar: Service | None = None
    sidecar_checks: tuple[CheckDefinition, ...] = ()


def register(
    definition: ServiceDefinition,
    *,
    node: str,
    ports_in_use: Mapping[str, int],
    origin: Origin = Origin.API,
    sidecar_ports: SidecarPorts = SIDECAR_PORTS,
) -> Registration:
    """Check a definition and complete it.

    node: the agent's node name. ports_in_use: the port of every service this agent has, by service id.
    Raises RegistrationError; SidecarError, a kind of it, for a fault of the sidecar.
    """
    check_service_definition(definition)
    service = service_of(definition, node=node, origin=origin)
    if faults := structural_errors(service, definition.connect):
        raise RegistrationError(errors_occurred(faults))
    checks = check_definitions(_sound_checks(definition), service)
    asked_for = definition.connect.sidecar_service if definition.connect else None
    if asked_for is None:
        return Registration(service, checks)
    sidecar = expand_sidecar(asked_for, service, ports_in_use, sidecar_ports)
    return Registration(service, checks, sidecar, _sidecar_checks(asked_for, sidecar, service))


def _sidecar_checks(
    definition: ServiceFields, sidecar: Service, parent: Service
) -> tuple[CheckDefinition, ...]:
    try:
        checks = _sound_checks(definition, invalid="Bad request: Invalid check in sidecar_service")
    except RegistrationError as error:
        raise SidecarError(str(error)) from error
    return check_definitions(checks or default_checks(sidecar, parent), sidecar)


def _sound_checks(definition: ServiceFields, *, invalid: str = "Invalid check") -> tuple[CheckType, ...]:
    """`Checks`, then `Check` if it says anything; all well formed, with a status that exists."""
    checks = definition.checks
    if definition.check is not None and definition.check != CheckType():
        checks = (*checks, definition.check)
    for check in checks:
        if fault := check_error(check):
            raise RegistrationError(f"{invalid}: {fault}")
    for check in checks:
        if not is_known_status(check.status):
            raise RegistrationError("Status for checks must 'passing', 'warning', 'critical'")
    return checks
