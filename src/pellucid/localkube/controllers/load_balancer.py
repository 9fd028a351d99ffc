"""Addresses of services of type LoadBalancer, from a pool of the cluster's own network.

Source: Kubernetes docs, "Service - type: LoadBalancer".
"""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address, ip_network

from pellucid.localkube.controllers.controller import Controller, all_of
from pellucid.localkube.controllers.plan import NOTHING, Key, Patch, Plan, Say
from pellucid.localkube.controllers.reading import Object, is_deleting, name_of, spec_of, status_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import SERVICES

POOLS = {"IPv4": ip_network("172.30.0.128/25"), "IPv6": ip_network("fd00:172:30::80/121")}
"""In the nodes' networks, above the nodes; reached from the cluster's nodes and pods."""


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Give the service an address, or take it back when its type has changed."""
    service = view.get(SERVICES, key.namespace, key.name)
    if service is None or is_deleting(service) or spec_of(service).get("loadBalancerClass"):
        return NOTHING
    given = _given(service)
    if spec_of(service).get("type") != "LoadBalancer":
        return Plan((_patch(key, []),)) if given else NOTHING
    families = spec_of(service).get("ipFamilies") or ["IPv4"]
    if [_family(address) for address in given] == families:
        return NOTHING
    taken = {address for other in view.list(SERVICES) for address in _given(other)}
    asked = spec_of(service).get("loadBalancerIP") or ""
    addresses = [
        _kept(given, family) or _allowed(asked, family, taken) or _free(family, taken) for family in families
    ]
    if "" in addresses:
        text = "every address of the pool is taken: " + " and ".join(str(POOLS[one]) for one in families)
        return Plan((Say(service, "SyncLoadBalancerFailed", text, "Warning"),))
    said = Say(service, "EnsuredLoadBalancer", f"Gave {name_of(service)} {' and '.join(addresses)}")
    return Plan((_patch(key, [{"ip": address, "ipMode": "VIP"} for address in addresses]), said))


def _given(service: Object) -> list[str]:
    ingress = (status_of(service).get("loadBalancer") or {}).get("ingress") or ()
    return [entry["ip"] for entry in ingress if entry.get("ip")]


def _family(address: str) -> str:
    return f"IPv{ip_address(address).version}"


def _kept(given: list[str], family: str) -> str:
    return next((address for address in given if _family(address) == family), "")


def _allowed(asked: str, family: str, taken: set[str]) -> str:
    """The address a service asks for, if it is of the pool and free."""
    try:
        return asked if ip_address(asked) in POOLS[family] and asked not in taken else ""
    except ValueError:
        return ""


def _free(family: str, taken: set[str]) -> str:
    return next((str(one) for one in POOLS[family].hosts() if str(one) not in taken), "")


def _patch(key: Key, ingress: list[Object]) -> Patch:
    status = {"loadBalancer": {"ingress": ingress or None}}
    return Patch(SERVICES, key.namespace, key.name, {"status": status}, "status")


LOAD_BALANCER_CONTROLLER = Controller("service-loadbalancer", {SERVICES: all_of(SERVICES)}, reconcile)
