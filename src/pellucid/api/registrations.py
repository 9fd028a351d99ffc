"""Registrations as changes to the log: pure functions of the state they change.

Everything one request brings about goes into one commit: services, their checks, the virtual
address of a mesh service, the credential of a workload.

Source: Consul 1.10 agent/agent.go (AddService, RemoveService, AddCheck, EnableServiceMaintenance).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from pellucid.model.checks import (
    NODE_MAINTENANCE,
    SERVICE_MAINTENANCE_PREFIX,
    CheckDefinition,
    CheckStatus,
    HealthCheck,
    is_maintenance,
)
from pellucid.model.identity import VirtualAddress, WorkloadCredential
from pellucid.model.pods import POD_UID
from pellucid.model.services import Origin, Service
from pellucid.rules.registration import Registration
from pellucid.rules.virtual import lowest_free
from pellucid.state.mesh_tables import CHECK_DEFINITIONS, CHECKS, CREDENTIALS, SERVICES, VIRTUAL_ADDRESSES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change, Delete, Put


def agent_service(state: Snapshot, node: str, service_id: str) -> Service | None:
    """A service registered with the agent of this node; what others put in the catalog is not."""
    stored = state.get(SERVICES, (node, service_id))
    return stored.value if stored is not None and stored.value.origin is not Origin.CATALOG else None


def ports_in_use(state: Snapshot, node: str) -> dict[str, int]:
    """The port of every service of the agent, by id."""
    services = (stored.value for stored in state.rows(SERVICES, "node", node))
    return {service.id: service.port for service in services if service.origin is not Origin.CATALOG}


def registered(
    state: Snapshot, registration: Registration, *, replace_checks: bool = False
) -> tuple[Change, ...]:
    """The changes that make a registration hold.

    replace_checks: remove checks the service had and this registration does not name.
    """
    services = [registration.service]
    checks = [*registration.checks]
    if registration.sidecar is not None:
        services.append(registration.sidecar)
        checks += registration.sidecar_checks
    changes: list[Change] = [Put(SERVICES, service) for service in services]
    if replace_checks:
        changes += _removed_checks(state, registration)
    by_id = {service.id: service for service in services}
    for definition in checks:
        changes += check_added(state, definition, by_id[definition.service_id])
    changes += virtual_addresses(state, services)
    return tuple(changes)


def check_added(state: Snapshot, definition: CheckDefinition, service: Service | None) -> tuple[Change, ...]:
    """The changes that add a check, or define it anew without forgetting what it last said."""
    check = health_check(definition, service)
    previous = state.get(CHECKS, (check.node, check.check_id))
    if previous is not None:
        check = msgspec.structs.replace(check, status=previous.value.status, output=previous.value.output)
    return Put(CHECK_DEFINITIONS, definition), Put(CHECKS, check)


def health_check(definition: CheckDefinition, service: Service | None) -> HealthCheck:
    """A check before its first result."""
    return HealthCheck(
        node=definition.node,
        check_id=definition.check_id,
        name=definition.name,
        status=definition.status,
        notes=definition.notes,
        service_id=service.id if service else "",
        service_name=service.name if service else "",
        service_tags=service.tags if service else (),
        type=definition.type,
    )


def deregistered(state: Snapshot, node: str, service_id: str) -> tuple[Change, ...]:
    """The changes that remove a service, its checks, its credential and the sidecar made for it."""
    changes: list[Change] = [
        Delete(SERVICES, (node, service_id)),
        Delete(CREDENTIALS, (node, service_id)),
    ]
    for check in state.rows(CHECKS, "instance", (node, service_id)):
        changes += check_removed(node, check.value.check_id)
    for sidecar in _sidecars_of(state, node, service_id):
        changes += deregistered(state, node, sidecar.id)
    return tuple(changes)


def _sidecars_of(state: Snapshot, node: str, service_id: str) -> tuple[Service, ...]:
    """The sidecars made for a service by its own registration."""
    stored = state.get(SERVICES, (node, service_id))
    if stored is None:
        return ()
    proxies = (proxy.value for proxy in state.rows(SERVICES, "connect", stored.value.name))
    return tuple(
        proxy
        for proxy in proxies
        if proxy.node == node
        and proxy.locally_registered_as_sidecar
        and proxy.proxy.destination_service_id == service_id
    )


def check_removed(node: str, check_id: str) -> tuple[Change, ...]:
    """The changes that remove a check."""
    return Delete(CHECKS, (node, check_id)), Delete(CHECK_DEFINITIONS, (node, check_id))


def forgotten(state: Snapshot, node: str) -> tuple[Change, ...]:
    """The changes that remove everything registered with the agent over HTTP.

    A reload does this on an agent without a data directory, where such registrations are not kept.
    """
    changes: list[Change] = []
    for stored in state.rows(SERVICES, "node", node):
        if stored.value.origin is Origin.API:
            changes += deregistered(state, node, stored.value.id)
    return tuple(changes)


def in_maintenance(node: str, service: Service | None, reason: str) -> tuple[Change, ...]:
    """The changes that put a service (None: the whole node) into maintenance mode."""
    what = "service" if service else "node"
    default = (
        f"Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message."
    )
    check = HealthCheck(
        node=node,
        check_id=maintenance_check_id(service),
        name=f"{what.capitalize()} Maintenance Mode",
        status=CheckStatus.CRITICAL,
        notes=reason or default,
        service_id=service.id if service else "",
        service_name=service.name if service else "",
        service_tags=service.tags if service else (),
        type="maintenance",
    )
    return (Put(CHECKS, check),)


def maintenance_check_id(service: Service | None) -> str:
    """The id of the check that maintenance mode adds."""
    return SERVICE_MAINTENANCE_PREFIX + service.id if service else NODE_MAINTENANCE


def virtual_addresses(state: Snapshot, services: Iterable[Service]) -> tuple[Change, ...]:
    """The virtual addresses that these services are the first to need.

    An address is never taken back: a client that still knows it must not reach another service.
    """
    names = dict.fromkeys(service.connect_name for service in services if service.connect_name)
    new = [name for name in names if state.get(VIRTUAL_ADDRESSES, (name,)) is None]
    if not new:
        return ()
    taken = {stored.value.number for stored in state.all(VIRTUAL_ADDRESSES)}
    changes: list[Change] = []
    for name in new:
        number = lowest_free(taken)
        taken.add(number)
        changes.append(Put(VIRTUAL_ADDRESSES, VirtualAddress(name, number)))
    return tuple(changes)


def credentials(secret_hash: str, services: Sequence[Service], pod_uid: str = "") -> tuple[Change, ...]:
    """The changes that let one secret speak for these services (one registration, or one pod's)."""
    return tuple(
        Put(CREDENTIALS, WorkloadCredential(service.node, service.id, secret_hash, pod_uid))
        for service in services
    )


def credential_of_another_pod_removed(state: Snapshot, service: Service) -> tuple[Change, ...]:
    """The changes that keep an earlier pod's secret from speaking for a later pod of the same name."""
    stored = state.get(CREDENTIALS, (service.node, service.id))
    if stored is None or stored.value.pod_uid in ("", (service.meta or {}).get(POD_UID)):
        return ()
    return (Delete(CREDENTIALS, (service.node, service.id)),)


def _removed_checks(state: Snapshot, registration: Registration) -> list[Change]:
    service = registration.service
    named = {definition.check_id for definition in registration.checks}
    changes: list[Change] = []
    for stored in state.rows(CHECKS, "instance", (service.node, service.id)):
        check_id = stored.value.check_id
        if check_id not in named and not is_maintenance(check_id):
            changes += check_removed(service.node, check_id)
    return changes
