"""What names and addresses stand for: the derived values behind DNS. Names compare without regard to case."""

from __future__ import annotations

import msgspec

from pellucid.derive.engine import Db, query
from pellucid.derive.instances import instance_status
from pellucid.model.checks import CheckStatus
from pellucid.model.services import Node, Service
from pellucid.rules.virtual import number_of
from pellucid.state.mesh_tables import NODES, SERVICES, VIRTUAL_ADDRESSES

UNKNOWN_NODE = Node(name="", address="")


class NamedInstance(msgspec.Struct, frozen=True):
    """An instance with the node it is on and the worst of its and its node's checks."""

    service: Service
    node: Node
    status: CheckStatus


@query
def instances_named(db: Db, folded_name: str) -> tuple[NamedInstance, ...]:
    """The instances of a service, by its name in lower case."""
    found = db.rows(SERVICES, "folded-name", folded_name)
    return tuple(_named_instance(db, stored.value) for stored in found)


@query
def connect_instances_named(db: Db, folded_name: str) -> tuple[NamedInstance, ...]:
    """The sidecars (and mesh-speaking instances) of a service, by its name in lower case."""
    found = db.rows(SERVICES, "folded-connect", folded_name)
    return tuple(_named_instance(db, stored.value) for stored in found)


@query
def node_named(db: Db, folded_name: str) -> Node | None:
    """A node by its name in lower case."""
    found = db.rows(NODES, "folded-name", folded_name)
    return found[0].value if found else None


@query
def virtual_number_of(db: Db, folded_name: str) -> int | None:
    """The virtual-address number of a service, by its name in lower case; None if it has none."""
    found = db.rows(VIRTUAL_ADDRESSES, "folded-service", folded_name)
    return found[0].value.number if found else None


@query
def node_at(db: Db, address: str) -> str | None:
    """The name of the node that has an address."""
    found = db.rows(NODES, "address", address)
    return found[0].value.name if found else None


@query
def service_at(db: Db, address: str) -> str | None:
    """The name of a service that has an instance at an address."""
    found = db.rows(SERVICES, "address", address)
    return found[0].value.name if found else None


@query
def service_at_virtual(db: Db, address: str) -> str | None:
    """The name of the service whose virtual address this is."""
    number = number_of(address)
    found = db.rows(VIRTUAL_ADDRESSES, "number", number) if number is not None else ()
    return found[0].value.service if found else None


def _named_instance(db: Db, service: Service) -> NamedInstance:
    node = node_of(db, service.node)
    return NamedInstance(service, node or UNKNOWN_NODE, instance_status(db, service.node, service.id))


@query
def node_of(db: Db, name: str) -> Node | None:
    """A node by its exact name."""
    stored = db.get(NODES, (name,))
    return stored.value if stored else None
