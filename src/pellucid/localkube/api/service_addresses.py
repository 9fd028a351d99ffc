"""Cluster addresses and node ports of services: who has which, and the next free one.

Source: Kubernetes docs, "Service ClusterIP allocation" and "Type NodePort".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from pellucid.localkube.api import rules
from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.status import Cause

SERVICE_NETWORK = ipaddress.IPv4Network("10.96.0.0/16")
FIRST_FREE_ADDRESS = 256
"""Addresses below are left to services that name one."""
NODE_PORTS = range(30000, 32768)


def allocated(service: Object, others: Iterable[Object], old: Object | None) -> tuple[Object, list[Cause]]:
    """The service with its addresses and node ports, and what is wrong with those it asks for."""
    spec = dict(service.get("spec") or {})
    before = (old or {}).get("spec") or {}
    taken = list(others)
    problems = [*_address(spec, before, taken), *_node_ports(spec, before, taken)]
    return {**service, "spec": spec}, problems


def _address(spec: Object, before: Object, others: list[Object]) -> Iterator[Cause]:
    if spec.get("type") == "ExternalName":
        for name in ("clusterIP", "clusterIPs"):
            spec.pop(name, None)
        return
    if before.get("clusterIP") and not spec.get("clusterIP"):
        spec["clusterIP"] = before["clusterIP"]
    wanted = spec.get("clusterIP")
    if before.get("clusterIP") and wanted != before["clusterIP"] and before.get("type") != "ExternalName":
        yield rules.bad("spec.clusterIPs[0]", [wanted], "may not change once set")
        return
    if wanted != "None":
        used = {(other.get("spec") or {}).get("clusterIP") for other in others}
        if not wanted:
            spec["clusterIP"] = _free_address(used)
        elif not _in_range(wanted):
            why = f"provided IP is not in the valid range. The range of valid IPs is {SERVICE_NETWORK}"
            yield rules.bad("spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: {why}")
        elif wanted in used:
            why = f"failed to allocate IP {wanted}: provided IP is already allocated"
            yield rules.bad("spec.clusterIPs", [wanted], why)
    spec["clusterIPs"] = [spec["clusterIP"]]


def _in_range(text: str) -> bool:
    try:
        return ipaddress.ip_address(text) in SERVICE_NETWORK
    except ValueError:
        return False


def _free_address(used: set[str | None]) -> str:
    for offset in range(FIRST_FREE_ADDRESS, SERVICE_NETWORK.num_addresses - 1):
        address = str(SERVICE_NETWORK[offset])
        if address not in used:
            return address
    raise RuntimeError(f"every address of {SERVICE_NETWORK} is taken")


def _node_ports(spec: Object, before: Object, others: list[Object]) -> Iterator[Cause]:
    exposed = spec.get("type") in ("NodePort", "LoadBalancer")
    used = {
        (port["nodePort"], port.get("protocol"))
        for other in others
        for port in (other.get("spec") or {}).get("ports") or ()
        if port.get("nodePort")
    }
    had = {
        (port.get("port"), port.get("protocol")): port["nodePort"]
        for port in before.get("ports") or ()
        if port.get("nodePort")
    }
    ports = []
    for place, given in enumerate(spec.get("ports") or ()):
        port = dict(given)
        protocol = port.get("protocol")
        if not exposed:
            port.pop("nodePort", None)
        elif wanted := port.get("nodePort"):
            field = f"spec.ports[{place}].nodePort"
            if wanted not in NODE_PORTS:
                why = "provided port is not in the valid range. The range of valid ports is 30000-32767"
                yield rules.bad(field, wanted, why)
            elif (wanted, protocol) in used:
                yield rules.bad(field, wanted, "provided port is already allocated")
        else:
            kept = had.get((port.get("port"), protocol))
            port["nodePort"] = kept or next(n for n in NODE_PORTS if (n, protocol) not in used)
        if port.get("nodePort"):
            used.add((port["nodePort"], protocol))
        ports.append(port)
    if ports:
        spec["ports"] = ports
