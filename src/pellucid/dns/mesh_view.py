"""The mesh as DNS sees it: the view, made of derived values.

Each lookup is one query, so its memo is the version token: as long as nothing it read has changed, the
engine hands out the very same value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from pellucid.derive import naming
from pellucid.derive.engine import Db, Engine, query
from pellucid.derive.naming import NamedInstance
from pellucid.dns.names import (
    ApexLookup,
    ConnectLookup,
    Lookup,
    NodeLookup,
    ReverseLookup,
    ServiceLookup,
    VirtualLookup,
)
from pellucid.dns.view import NO_ENTRIES, Instance, Node, Owner, OwnerKind, VirtualAddresses
from pellucid.model import services
from pellucid.model.names import SERVER_SERVICE
from pellucid.rules.virtual import virtual_ipv4, virtual_ipv6

_NOTHING = object()


class MeshView:
    """Answers from the engine. Implements `View`."""

    def __init__(self, engine: Engine) -> None:
        self._db = engine.db

    def service_instances(self, service: str) -> Sequence[Instance]:
        """All instances of `service`, whatever their health."""
        return service_instances(self._db, service.lower())

    def connect_instances(self, service: str) -> Sequence[Instance]:
        """What accepts mesh connections for `service`."""
        return connect_instances(self._db, service.lower())

    def ingress_instances(self, service: str) -> Sequence[Instance]:
        """None: ingress gateways are not run."""
        return ()

    def node(self, name: str) -> Node | None:
        """The node called `name`."""
        return node(self._db, name.lower())

    def virtual_addresses(self, service: str) -> VirtualAddresses | None:
        """The virtual addresses of `service`."""
        return virtual_addresses(self._db, service.lower())

    def owner(self, address: IPv4Address | IPv6Address) -> Owner | None:
        """Who has `address`."""
        return owner(self._db, str(address))

    def version(self, lookup: Lookup) -> object:
        """What the answer is made of: equal values make equal answers."""
        match lookup:
            case ServiceLookup(service):
                return self.service_instances(service), self.virtual_addresses(service)
            case ConnectLookup(service):
                return self.connect_instances(service)
            case VirtualLookup(service):
                return self.virtual_addresses(service)
            case NodeLookup(name):
                return self.node(name)
            case ReverseLookup(address) if address is not None:
                return self.owner(address)
            case ApexLookup():
                return self.service_instances(SERVER_SERVICE)
        return _NOTHING


@query
def service_instances(db: Db, folded_name: str) -> tuple[Instance, ...]:
    """The instances of a service as DNS shows them."""
    return tuple(_instance(found) for found in naming.instances_named(db, folded_name))


@query
def connect_instances(db: Db, folded_name: str) -> tuple[Instance, ...]:
    """The sidecars of a service as DNS shows them."""
    return tuple(_instance(found) for found in naming.connect_instances_named(db, folded_name))


@query
def node(db: Db, folded_name: str) -> Node | None:
    """A node as DNS shows it."""
    found = naming.node_named(db, folded_name)
    return _node(found) if found else None


@query
def virtual_addresses(db: Db, folded_name: str) -> VirtualAddresses | None:
    """The virtual addresses of a service."""
    number = naming.virtual_number_of(db, folded_name)
    if number is None:
        return None
    return VirtualAddresses(IPv4Address(virtual_ipv4(number)), IPv6Address(virtual_ipv6(number)))


_OWNERS: tuple[tuple[OwnerKind, Callable[[Db, str], str | None]], ...] = (
    (OwnerKind.NODE, naming.node_at),
    (OwnerKind.SERVICE, naming.service_at),
    (OwnerKind.VIRTUAL, naming.service_at_virtual),
)


@query
def owner(db: Db, address: str) -> Owner | None:
    """Who has an address: nodes before services before virtual addresses."""
    text = str(ip_address(address))
    for kind, find in _OWNERS:
        name = find(db, text)
        if name is not None:
            return Owner(kind, name)
    return None


def _node(found: services.Node) -> Node:
    return Node(found.name, found.address, found.tagged_addresses or NO_ENTRIES, found.meta or NO_ENTRIES)


def _instance(found: NamedInstance) -> Instance:
    service = found.service
    tagged = service.tagged_addresses or {}
    return Instance(
        service=service.name,
        node=_node(found.node),
        port=service.port,
        address=service.address,
        tags=service.tags,
        status=found.status,
        weight_passing=service.weights.passing,
        weight_warning=service.weights.warning,
        tagged_addresses={tag: address.address for tag, address in tagged.items()},
    )
