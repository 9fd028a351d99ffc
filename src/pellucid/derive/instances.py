"""The instances of a mesh service: where its sidecars are, how healthy, and by which addresses it is known.

`endpoints` is what load balancing needs; `virtual_addresses` and `direct_addresses` are what the outbound
listener matches. They read different rows, so a health change never reaches a listener.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from pellucid.derive.effective import effective_proxy
from pellucid.derive.engine import Db, query
from pellucid.model.checks import CheckStatus, worst_of
from pellucid.model.names import SERVER_SERVICE
from pellucid.model.services import Service
from pellucid.rules.virtual import virtual_ipv4, virtual_ipv6
from pellucid.state.mesh_tables import CHECKS, NODES, SERVICES, VIRTUAL_ADDRESSES

MAX_WEIGHT = 128
"""Envoy and Consul accept load-balancing weights from 1 to this."""

_VIRTUAL_TAG = re.compile(r"(?:(?:consul-)?virtual|virtual[-.][^:]+)(?::(?P<further>[1-9][0-9]{0,4}))?")
"""Tagged addresses by which a whole service is dialled: its ClusterIP, or one given at registration.

Further ones, such as those of other Kubernetes Services in front of the same pods, are told apart by what
follows `virtual-` or `virtual.`. One that ends in `:9090` leads to that port of the workload instead of the
service's own.
"""


class Endpoint(msgspec.Struct, frozen=True, order=True):
    """One sidecar of a service, as a load balancer sees it."""

    address: str
    port: int
    healthy: bool
    weight: int = 1


class Address(msgspec.Struct, frozen=True, order=True):
    """An address that stands for a service, on one port or (0) on any.

    further: the workload's port that it leads to, 0 for the service's own.
    """

    ip: str
    port: int = 0
    further: int = 0


@query
def mesh_services(db: Db) -> tuple[str, ...]:
    """Names of the services that have sidecars (or speak mutual TLS themselves), in order."""
    return tuple(str(name) for name in db.values(SERVICES, "connect") if name != SERVER_SERVICE)


@query
def known_services(db: Db) -> tuple[str, ...]:
    """Names of the services that have sidecars or once had, in order.

    A service keeps its virtual address when its last instance goes. Counting it on keeps what that
    instance has under way from being cut off by the services it calls.
    """
    once = (stored.value.service for stored in db.all(VIRTUAL_ADDRESSES))
    return tuple(sorted({*mesh_services(db), *once}))


@query
def typical_services(db: Db) -> tuple[str, ...]:
    """Names of the registered applications, in order, the servers' own left out."""
    return tuple(str(name) for name in db.values(SERVICES, "typical") if name != SERVER_SERVICE)


@query
def node_address(db: Db, node: str) -> str:
    """The address of a node, or the empty string if it is unknown."""
    stored = db.get(NODES, (node,))
    return stored.value.address if stored else ""


@query
def node_status(db: Db, node: str) -> CheckStatus:
    """The worst of a node's own checks."""
    return worst_of(check.value.status for check in db.rows(CHECKS, "node-level", node))


@query
def instance_status(db: Db, node: str, service_id: str) -> CheckStatus:
    """The worst of an instance's checks and its node's."""
    own = (check.value.status for check in db.rows(CHECKS, "instance", (node, service_id)))
    return worst_of((node_status(db, node), *own))


@query
def endpoints(db: Db, service: str) -> tuple[Endpoint, ...]:
    """The sidecars of a service, in order of address.

    Critical instances are listed as unhealthy; a weight below 1 makes an instance unhealthy too.
    Source: Consul 1.10 docs, "Envoy Integration", endpoints.
    """
    found = {
        _endpoint(db, stored.value)
        for stored in db.rows(SERVICES, "connect", service)
        if stored.value.port > 0
    }
    return tuple(sorted(found))


@query
def further_endpoints(db: Db, service: str, port: int) -> tuple[Endpoint, ...]:
    """The workloads of a service that have this further port, in order of address.

    They are dialled on that port: redirection hands the connection to their sidecar, which knows the port
    from where the connection was going.
    """
    found = {
        msgspec.structs.replace(_endpoint(db, stored.value), port=port)
        for stored in db.rows(SERVICES, "connect", service)
        if port in further_ports_of(stored.value)
    }
    return tuple(sorted(found))


@query
def further_ports(db: Db, service: str) -> tuple[int, ...]:
    """The ports that workloads of a service have in the mesh besides the service's own, in order."""
    rows = db.rows(SERVICES, "connect", service)
    return tuple(sorted({port for stored in rows for port in further_ports_of(stored.value)}))


def further_ports_of(instance: Service) -> tuple[int, ...]:
    """The further ports of one workload, as the registration of its sidecar says, in order.

    A tag says so without an address too: the workload may be dialled directly.
    """
    found = (_VIRTUAL_TAG.fullmatch(tag) for tag in instance.tagged_addresses or ())
    return tuple(sorted({int(tag["further"]) for tag in found if tag and tag["further"]}))


def _tagged(instance: Service) -> Iterator[Address]:
    for tag, tagged in (instance.tagged_addresses or {}).items():
        match = _VIRTUAL_TAG.fullmatch(tag)
        if match and _is_ip(tagged.address):
            yield Address(str(ip_address(tagged.address)), tagged.port, int(match["further"] or 0))


def _endpoint(db: Db, instance: Service) -> Endpoint:
    status = instance_status(db, instance.node, instance.id)
    weights = instance.weights
    weight = weights.warning if status is CheckStatus.WARNING else weights.passing
    return Endpoint(
        address=instance.address or node_address(db, instance.node),
        port=instance.port,
        healthy=status is not CheckStatus.CRITICAL and weight >= 1,
        weight=min(max(weight, 1), MAX_WEIGHT),
    )


@query
def virtual_addresses(db: Db, service: str) -> tuple[Address, ...]:
    """What stands for the service as a whole, in order: allocated addresses and tagged ones."""
    found: set[Address] = set()
    allocated = db.get(VIRTUAL_ADDRESSES, (service,))
    if allocated is not None:
        number = allocated.value.number
        found |= {Address(virtual_ipv4(number)), Address(virtual_ipv6(number))}
    for stored in db.rows(SERVICES, "connect", service):
        found.update(_tagged(stored.value))
    return tuple(sorted(found))


@query
def direct_addresses(db: Db, service: str) -> tuple[str, ...]:
    """The addresses of the instances that ask to be dialled directly, in order."""
    found: set[str] = set()
    for stored in db.rows(SERVICES, "connect", service):
        instance = stored.value
        proxy = effective_proxy(db, instance.node, instance.id)
        if proxy is not None and proxy.dialed_directly:
            found.add(instance.address or node_address(db, instance.node))
    return tuple(sorted(str(ip_address(address)) for address in found if _is_ip(address)))


def _is_ip(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return False
    return True
