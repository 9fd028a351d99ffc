"""What an agent knows by itself: the services and checks that were registered with it.

The catalog also holds what others registered on the same node; an agent does not list that.

Source: Consul 1.10 docs, "Anti-Entropy - Agent"; agent/local/state.go.
"""

from __future__ import annotations

import msgspec

from pellucid.derive.engine import Db, query
from pellucid.derive.shown_proxy import ShownService, shown_service
from pellucid.model.checks import CheckStatus, HealthCheck, is_maintenance, worst_of
from pellucid.model.services import Origin
from pellucid.state.mesh_tables import CHECK_DEFINITIONS, CHECKS, SERVICES


class LocalInstance(msgspec.Struct, frozen=True):
    """A service of the agent with the checks it stands or falls with."""

    shown: ShownService
    checks: tuple[HealthCheck, ...]

    @property
    def status(self) -> str:
        """`maintenance`, or the worst of the checks."""
        return aggregated_status(self.checks)


def aggregated_status(checks: tuple[HealthCheck, ...]) -> str:
    """One word for several checks: `maintenance` before critical, warning, passing."""
    if any(is_maintenance(check.check_id) for check in checks):
        return "maintenance"
    return worst_of(check.status for check in checks).value


def worst_status(statuses: tuple[str, ...]) -> str:
    """The worst of aggregated statuses; `maintenance` counts as worst."""
    order = ("maintenance", *reversed([status.value for status in CheckStatus]))
    return min(statuses, key=order.index)


@query
def local_services(db: Db, node: str) -> tuple[ShownService, ...]:
    """The agent's services in order of id, proxies completed from config entries."""
    return tuple(
        shown_service(db, node, stored.value.id)
        for stored in db.rows(SERVICES, "node", node)
        if stored.value.origin is not Origin.CATALOG
    )


@query
def local_service(db: Db, node: str, service_id: str) -> ShownService | None:
    """One service of the agent."""
    stored = db.get(SERVICES, (node, service_id))
    if stored is None or stored.value.origin is Origin.CATALOG:
        return None
    return shown_service(db, node, service_id)


@query
def local_checks(db: Db, node: str) -> tuple[HealthCheck, ...]:
    """The agent's checks in order of id: those it runs, and those of maintenance mode."""
    run = {stored.value.check_id for stored in db.rows(CHECK_DEFINITIONS, "node", node)}
    checks = (stored.value for stored in db.rows(CHECKS, "node", node))
    return tuple(check for check in checks if check.check_id in run or is_maintenance(check.check_id))


@query
def local_instance(db: Db, node: str, service_id: str) -> LocalInstance | None:
    """One service of the agent with its checks and the node's."""
    shown = local_service(db, node, service_id)
    if shown is None:
        return None
    checks = local_checks(db, node)
    return LocalInstance(shown, tuple(check for check in checks if check.service_id in ("", service_id)))


@query
def local_instances_named(db: Db, node: str, name: str) -> tuple[LocalInstance, ...]:
    """The agent's instances of a service."""
    ids = (shown.service.value.id for shown in local_services(db, node) if shown.service.value.name == name)
    found = (local_instance(db, node, service_id) for service_id in ids)
    return tuple(instance for instance in found if instance is not None)
