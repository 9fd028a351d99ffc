"""What DNS needs to know of the mesh: the protocol that the derived values implement.

Names arrive in lower case and are to be compared without regard to case, as Consul does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Protocol

import msgspec

from pellucid.dns.names import Lookup
from pellucid.model.checks import CheckStatus

NO_ENTRIES: Mapping[str, str] = MappingProxyType({})


class Node(msgspec.Struct, frozen=True):
    """A node as DNS shows it."""

    name: str
    address: str
    tagged_addresses: Mapping[str, str] = NO_ENTRIES
    """By tag: `lan_ipv4`, `lan_ipv6`, `wan`, ..."""
    meta: Mapping[str, str] = NO_ENTRIES


class Instance(msgspec.Struct, frozen=True):
    """One instance of a service on a node."""

    service: str
    node: Node
    port: int = 0
    address: str = ""
    """The instance's own address; empty when it is reached at its node's."""
    tags: tuple[str, ...] = ()
    status: CheckStatus = CheckStatus.PASSING
    """The worst of its checks and its node's, where maintenance counts as critical."""
    weight_passing: int = 1
    weight_warning: int = 1
    tagged_addresses: Mapping[str, str] = NO_ENTRIES
    """Addresses only, by tag, as for a node."""


class VirtualAddresses(msgspec.Struct, frozen=True):
    """The addresses by which the mesh knows a service, one for each family."""

    v4: IPv4Address | None = None
    v6: IPv6Address | None = None


class OwnerKind(StrEnum):
    """Whose an address is; the value is the keyword in the owner's name."""

    NODE = "node"
    SERVICE = "service"
    VIRTUAL = "virtual"


class Owner(msgspec.Struct, frozen=True):
    """Who answers at an address: a node, else a service instance, else a service's virtual address."""

    kind: OwnerKind
    name: str


class View(Protocol):
    """The mesh at one moment. Every method is pure in between commits and must not block."""

    def service_instances(self, service: str) -> Sequence[Instance]:
        """All instances of `service`, whatever their health; `consul` names the servers themselves."""

    def connect_instances(self, service: str) -> Sequence[Instance]:
        """What accepts mesh connections for `service`: sidecar proxies and connect-native instances."""

    def ingress_instances(self, service: str) -> Sequence[Instance]:
        """Ingress gateways that expose `service`."""

    def node(self, name: str) -> Node | None:
        """The node called `name`."""

    def virtual_addresses(self, service: str) -> VirtualAddresses | None:
        """The virtual addresses of `service`, None when the mesh doesn't know it."""

    def owner(self, address: IPv4Address | IPv6Address) -> Owner | None:
        """Who has `address`, nodes before services before virtual addresses."""

    def version(self, lookup: Lookup) -> object:
        """A token for everything that answering `lookup` may read.

        As long as an equal token is returned, replies built earlier stay right and are sent again.
        A `ServiceLookup` may read its service's instances and virtual addresses, an `ApexLookup` the
        instances of `consul`, every other lookup what it names.
        """
