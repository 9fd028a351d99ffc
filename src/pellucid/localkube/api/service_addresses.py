"""Cluster addresses and node ports of services: who has which, and the next free one.

Source: Kubernetes docs, "Service ClusterIP allocation", "Type NodePort" and "IPv4/IPv6 dual-stack".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.rules.causes import bad
from pellucid.localkube.api.status import Cause

SERVICE_NETWORKS: dict[str, ipaddress.IPv4Network | ipaddress.IPv6Network] = {
    "IPv4": ipaddress.IPv4Network("10.96.0.0/16"),
    "IPv6": ipaddress.IPv6Network("fd00:10:96::/112"),
}
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


def retyped(old: Object, new: Object) -> Object:
    """A service of another type, without what only its former one had and the change left as it was.

    Source: the service registry's dropTypeDependentFields, Kubernetes 1.30.
    """
    before, after = old.get("spec") or {}, dict(new.get("spec") or {})
    former, kind = before.get("type"), after.get("type")
    if former == kind:
        return new
    exposed = ("NodePort", "LoadBalancer")
    if kind == "ExternalName" and after.get("clusterIP") == before.get("clusterIP"):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            after.pop(name, None)
    if former == "ExternalName" and after.get("externalName") == before.get("externalName"):
        after.pop("externalName", None)
    if former in exposed and kind not in exposed:
        had = [port.get("nodePort") for port in before.get("ports") or ()]
        after["ports"] = [
            {key: one for key, one in port.items() if key != "nodePort" or one not in had}
            for port in after.get("ports") or ()
        ]
        if not after.get("externalIPs"):
            after.pop("externalTrafficPolicy", None)
    if former == "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"):
            if after.get(name) == before.get(name):
                after.pop(name, None)
    return {**new, "spec": after}


def _address(spec: Object, before: Object, others: list[Object]) -> Iterator[Cause]:
    if spec.get("type") == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            spec.pop(name, None)
        return
    if before.get("clusterIP") and not spec.get("clusterIP"):
        spec["clusterIP"] = before["clusterIP"]
    wanted = spec.get("clusterIP")
    if before.get("clusterIP") and wanted != before["clusterIP"] and before.get("type") != "ExternalName":
        yield bad("spec.clusterIPs[0]", [wanted], "may not change once set")
        return
    yield from _families(spec, before)
    if wanted == "None":
        spec["clusterIPs"] = ["None"]
        return
    asked = [wanted, *(spec.get("clusterIPs") or before.get("clusterIPs") or ())[1:]]
    kept = set(before.get("clusterIPs") or ())
    used = {address for other in others for address in (other.get("spec") or {}).get("clusterIPs") or ()}
    given: list[str] = []
    for family, address in zip_longest(spec["ipFamilies"], asked[: len(spec["ipFamilies"])]):
        if not address:
            given.append(_free_address(SERVICE_NETWORKS[family], used))
        elif not _in_range(address, family):
            why = (
                f"the provided IP ({address}) is not in the valid range. The range of valid IPs is "
                f"{SERVICE_NETWORKS[family]}"
            )
            yield bad("spec.clusterIPs", [address], f"failed to allocate IP {address}: {why}")
        elif address in used - kept:
            why = f"failed to allocate IP {address}: provided IP is already allocated"
            yield bad("spec.clusterIPs", [address], why)
        else:
            given.append(address)
    spec["clusterIPs"] = given
    if given:
        spec["clusterIP"] = given[0]


def _families(spec: Object, before: Object) -> Iterator[Cause]:
    """Settle in which address families the service is, and by which policy."""
    stated = [one for one in spec.get("clusterIPs") or [spec.get("clusterIP")] if one and one != "None"]
    families = list(spec.get("ipFamilies") or before.get("ipFamilies") or map(_family, stated)) or ["IPv4"]
    policy = spec.get("ipFamilyPolicy") or before.get("ipFamilyPolicy") or "SingleStack"
    if policy != "SingleStack":
        families += [family for family in SERVICE_NETWORKS if family not in families]
    elif len(families) > 1 and before.get("ipFamilyPolicy") in (None, "SingleStack"):
        why = "must be RequireDualStack or PreferDualStack when multiple 'ipFamilies' are specified"
        yield bad("spec.ipFamilyPolicy", policy, why)
    else:
        families = families[:1]
    spec["ipFamilies"], spec["ipFamilyPolicy"] = families, policy


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _in_range(text: str, family: str) -> bool:
    try:
        return ipaddress.ip_address(text) in SERVICE_NETWORKS[family]
    except ValueError:
        return False


def _free_address(network: ipaddress.IPv4Network | ipaddress.IPv6Network, used: set[str]) -> str:
    for offset in range(FIRST_FREE_ADDRESS, network.num_addresses - 1):
        address = str(network[offset])
        if address not in used:
            return address
    raise RuntimeError(f"every address of {network} is taken")


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
                yield bad(field, wanted, why)
            elif (wanted, protocol) in used:
                yield bad(field, wanted, "provided port is already allocated")
        else:
            kept = had.get((port.get("port"), protocol))
            port["nodePort"] = kept or next(n for n in NODE_PORTS if (n, protocol) not in used)
        if port.get("nodePort"):
            used.add((port["nodePort"], protocol))
        ports.append(port)
    if ports:
        spec["ports"] = ports
