"""Addresses of services of type LoadBalancer, from a pool of the cluster's own network.

Source: Kubernetes docs, "Service - type: LoadBalancer".
"""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address

from pellucid.localkube.controllers.controller import Controller, all_of
from pellucid.localkube.controllers.plan import NOTHING, Key, Patch, Plan, Say
from pellucid.localkube.controllers.reading import Object, is_deleting, name_of, spec_of, status_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import SERVICES

FIRST, LAST = IPv4Address("172.30.0.128"), IPv4Address("172.30.0.254")
"""In the nodes' network, above the nodes; reached from the cluster's nodes and pods."""


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Give the service an address, or take it back when its type has changed."""
    service = view.get(SERVICES, key.namespace, key.name)
    if service is None or is_deleting(service) or spec_of(service).get("loadBalancerClass"):
        return NOTHING
    given = _given(service)
    if spec_of(service).get("type") != "LoadBalancer":
        return Plan((_patch(key, []),)) if given else NOTHING
    if given:
        return NOTHING
    taken = {address for other in view.list(SERVICES) for address in _given(other)}
    asked = spec_of(service).get("loadBalancerIP")
    address = asked if asked and _is_ours(asked) and asked not in taken else _free(taken)
    if address is None:
        text = f"no address between {FIRST} and {LAST} is free"
        return Plan((Say(service, "SyncLoadBalancerFailed", text, "Warning"),))
    said = Say(service, "EnsuredLoadBalancer", f"Gave {name_of(service)} the address {address}")
    return Plan((_patch(key, [{"ip": address, "ipMode": "VIP"}]), said))


def _given(service: Object) -> list[str]:
    ingress = (status_of(service).get("loadBalancer") or {}).get("ingress") or ()
    return [entry["ip"] for entry in ingress if entry.get("ip")]


def _is_ours(text: str) -> bool:
    try:
        return FIRST <= IPv4Address(text) <= LAST
    except ValueError:
        return False


def _free(taken: set[str]) -> str | None:
    pool = (str(IPv4Address(number)) for number in range(int(FIRST), int(LAST) + 1))
    return next((address for address in pool if address not in taken), None)


def _patch(key: Key, ingress: list[Object]) -> Patch:
    status = {"loadBalancer": {"ingress": ingress or None}}
    return Patch(SERVICES, key.namespace, key.name, {"status": status}, "status")


LOAD_BALANCER_CONTROLLER = Controller("service-loadbalancer", {SERVICES: all_of(SERVICES)}, reconcile)
