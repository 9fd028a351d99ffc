"""What is registered, as the catalog and health endpoints list it, each list with its index.

A list's index is the revision that last changed what it was made of; a blocking query waits for it
to rise. For a service that means its instances, their nodes and their checks, never other services.
A service that has gone keeps the index of its going; one that never was has that of the tables.

Source: Consul 1.10 agent/consul/state/catalog.go (maxIndexForService), catalog_oss.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec

from pellucid.derive.engine import Db, query
from pellucid.derive.gateways import terminating_gateways_of
from pellucid.derive.shown_proxy import shown_service
from pellucid.model.checks import HealthCheck
from pellucid.model.services import Node, Proxy, Service
from pellucid.state.mesh_tables import CHECKS, NODES, SERVICES
from pellucid.state.tables import BucketSelector, RowSelector, Stored, Table, TableSelector

R = TypeVar("R")

MetaFilter = tuple[tuple[str, str], ...]
"""Pairs of node metadata, all of which a node must have."""


class Listed(msgspec.Struct, Generic[R], frozen=True):
    """Rows, and the index of the list."""

    index: int
    rows: tuple[R, ...]


class Instance(msgspec.Struct, frozen=True):
    """A service instance on its node, with its proxy settings as config entries complete them."""

    node: Stored[Node]
    service: Stored[Service]
    proxy: Proxy


class CheckedInstance(msgspec.Struct, frozen=True):
    """An instance with its node's checks and its own."""

    instance: Instance
    checks: tuple[Stored[HealthCheck], ...]


@query
def nodes(db: Db, meta: MetaFilter = ()) -> Listed[Stored[Node]]:
    """The nodes that have all of this metadata."""
    found = (stored for stored in db.all(NODES) if has_meta(stored.value, meta))
    return Listed(db.stamp(TableSelector(NODES)), tuple(found))


@query
def services(db: Db, meta: MetaFilter = ()) -> Listed[tuple[str, tuple[str, ...]]]:
    """Every service name with the tags of its instances, on the nodes that have all of this metadata."""
    index = db.stamp(TableSelector(SERVICES))
    on = None
    if meta:
        index = max(index, db.stamp(TableSelector(NODES)))
        on = {stored.value.name for stored in nodes(db, meta).rows}
    tags: dict[str, dict[str, None]] = {}
    for stored in db.all(SERVICES):
        service = stored.value
        if on is None or service.node in on:
            tags.setdefault(service.name, {}).update(dict.fromkeys(service.tags))
    return Listed(index, tuple((name, tuple(tags[name])) for name in sorted(tags)))


@query
def instances(db: Db, service: str) -> Listed[Instance]:
    """The instances of a service."""
    found, merged = _instances(db, db.rows(SERVICES, "name", service))
    return Listed(max(service_index(db, service), merged), found)


@query
def connect_instances(db: Db, service: str) -> Listed[Instance]:
    """What takes mutual TLS for a service: its sidecars, its native instances, gateways linked to it."""
    stored = [*db.rows(SERVICES, "connect", service)]
    for gateway in terminating_gateways_of(db, service):
        stored += db.rows(SERVICES, "name", gateway)
    found, merged = _instances(db, stored)
    names = {instance.service.value.name for instance in found}
    gone = db.stamp(BucketSelector(SERVICES, "connect", service))
    index = max(service_index(db, name) for name in names) if names else service_index(db, service)
    return Listed(max(index, merged, gone), found)


@query
def node_instances(db: Db, node: str) -> Listed[Instance]:
    """What runs on a node."""
    found, merged = _instances(db, db.rows(SERVICES, "node", node))
    return Listed(max(_table_index(db, (NODES, SERVICES)), merged), found)


@query
def node(db: Db, name: str) -> Stored[Node] | None:
    """One node."""
    return db.get(NODES, (name,))


def with_checks(db: Db, instance: Instance) -> CheckedInstance:
    """An instance and the checks it stands or falls with."""
    service = instance.service.value
    own = db.rows(CHECKS, "instance", (service.node, service.id))
    return CheckedInstance(instance, (*db.rows(CHECKS, "node-level", service.node), *own))


@query
def node_checks(db: Db, node: str) -> Listed[Stored[HealthCheck]]:
    """Every check on a node."""
    return Listed(db.stamp(TableSelector(CHECKS)), db.rows(CHECKS, "node", node))


@query
def service_checks(db: Db, service: str, meta: MetaFilter = ()) -> Listed[Stored[HealthCheck]]:
    """The checks of a service's instances, without their nodes'."""
    return Listed(db.stamp(TableSelector(CHECKS)), _on_nodes(db, db.rows(CHECKS, "service", service), meta))


@query
def checks_in_state(db: Db, state: str, meta: MetaFilter = ()) -> Listed[Stored[HealthCheck]]:
    """The checks in a state, or in `any`; an unknown state has none."""
    found = db.all(CHECKS) if state == "any" else db.rows(CHECKS, "status", state)
    return Listed(db.stamp(TableSelector(CHECKS)), _on_nodes(db, found, meta))


@query
def service_index(db: Db, service: str) -> int:
    """The revision that last changed a service: instances, their nodes, checks on either."""
    found = db.rows(SERVICES, "name", service)
    changed = db.stamp(BucketSelector(SERVICES, "name", service))
    if not found:
        return changed or _table_index(db, (NODES, SERVICES, CHECKS))
    index = max(changed, db.stamp(BucketSelector(CHECKS, "service", service)))
    return max(index, *(_node_index(db, name) for name in {stored.value.node for stored in found}))


@query
def _node_index(db: Db, node: str) -> int:
    return max(
        db.stamp(RowSelector(NODES, (node,))),
        db.stamp(BucketSelector(CHECKS, "node-level", node)),
    )


def has_meta(node: Node, meta: MetaFilter) -> bool:
    """True if the node has every one of these metadata pairs."""
    own = node.meta or {}
    return all(own.get(key) == value for key, value in meta)


def _on_nodes(
    db: Db, checks: Iterable[Stored[HealthCheck]], meta: MetaFilter
) -> tuple[Stored[HealthCheck], ...]:
    if not meta:
        return tuple(checks)
    on = {stored.value.name for stored in nodes(db, meta).rows}
    return tuple(stored for stored in checks if stored.value.node in on)


def _instances(db: Db, stored_services: Iterable[Stored[Service]]) -> tuple[tuple[Instance, ...], int]:
    """The instances whose node is known, and the index of what config entries added to them."""
    found: dict[tuple[str, str], Instance] = {}
    merged = 0
    for stored in stored_services:
        service = stored.value
        node = db.get(NODES, (service.node,))
        if node is not None:
            shown = shown_service(db, service.node, service.id)
            found[service.node, service.id] = Instance(node, shown.service, shown.proxy)
            merged = max(merged, shown.service.modify_index)
    return tuple(found[key] for key in sorted(found)), merged


def _table_index(db: Db, tables: Iterable[Table[Node] | Table[Service] | Table[HealthCheck]]) -> int:
    return max(db.stamp(TableSelector(table)) for table in tables)
