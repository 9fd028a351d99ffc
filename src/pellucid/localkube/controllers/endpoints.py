"""Endpoints and EndpointSlices: the addresses of the pods that a service selects.

Source: Kubernetes docs, "EndpointSlices" and "Service - Services without selectors".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pellucid.localkube.controllers.controller import Controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan, Remove
from pellucid.localkube.controllers.pods import has_ended, is_ready
from pellucid.localkube.controllers.reading import (
    Object,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    status_of,
    uid_of,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"
MOST_IN_A_SLICE = 100
FAMILIES = ("IPv4", "IPv6")

Ports = tuple[tuple[str, int, str, str], ...]
"""(name, number, protocol, application protocol) of each port, as resolved for some pods."""


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Bring the service's slices and its Endpoints to what its pods are."""
    service = view.get(SERVICES, key.namespace, key.name)
    if service is None or is_deleting(service):
        return NOTHING if service else Plan(_endpoints_gone(view, key))
    if not spec_of(service).get("selector") or spec_of(service).get("type") == "ExternalName":
        return NOTHING
    groups = _by_ports(service, _selected(view, service))
    families = _families(service)
    slices = [change for family in FAMILIES for change in _slice_changes(view, service, groups, family)]
    return Plan((*slices, *_endpoints_changes(view, service, groups, families[0])))


def _families(service: Object) -> tuple[str, ...]:
    return tuple(spec_of(service).get("ipFamilies") or ("IPv4",))


def _address(pod: Object, family: str) -> str:
    """The pod's address in a family; empty if it has none there."""
    status = status_of(pod)
    every = [entry["ip"] for entry in status.get("podIPs") or ()] or [status["podIP"]]
    return next((one for one in every if (":" in one) == (family == "IPv6")), "")


def _selected(view: View, service: Object) -> list[Object]:
    selector = spec_of(service)["selector"]
    return sorted(
        (
            pod
            for pod in view.list(PODS, namespace_of(service))
            if selector.items() <= labels_of(pod).items()
            and status_of(pod).get("podIP")
            and not has_ended(pod)
        ),
        key=name_of,
    )


def _by_ports(service: Object, pods: Iterable[Object]) -> dict[Ports, list[Object]]:
    groups: dict[Ports, list[Object]] = defaultdict(list)
    for pod in pods:
        groups[_ports_at(service, pod)].append(pod)
    return groups


def _ports_at(service: Object, pod: Object) -> Ports:
    resolved = []
    for port in spec_of(service).get("ports") or ():
        number = _target_port(port, pod)
        if number is not None:
            resolved.append(
                (port.get("name", ""), number, port.get("protocol", "TCP"), port.get("appProtocol", ""))
            )
    return tuple(resolved)


def _target_port(port: Mapping[str, Any], pod: Object) -> int | None:
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in spec_of(pod).get("containers") or ():
        for declared in container.get("ports") or ():
            if declared.get("name") == target and declared.get("protocol", "TCP") == port.get(
                "protocol", "TCP"
            ):
                return int(declared["containerPort"])
    return None


def _slice_changes(
    view: View, service: Object, groups: Mapping[Ports, list[Object]], family: str
) -> tuple[Change, ...]:
    """A family's slices; there are none of a family in which the service has no addresses."""
    present = [
        item
        for item in view.list(ENDPOINT_SLICES, namespace_of(service))
        if labels_of(item).get(SERVICE_NAME) == name_of(service)
        and labels_of(item).get(MANAGED_BY) == MANAGER
        and item["addressType"] == family
        and not is_deleting(item)
    ]
    wanted = _slice_contents(service, groups, family) if family in _families(service) else []
    present.sort(key=name_of)
    changes: list[Change] = []
    for content, item in zip(wanted, present, strict=False):
        if any((item.get(name) or []) != value for name, value in content.items()):
            changes.append(Patch(ENDPOINT_SLICES, namespace_of(item), name_of(item), dict(content)))
    changes += [
        Create(ENDPOINT_SLICES, _slice(service, family, content)) for content in wanted[len(present) :]
    ]
    changes += [
        Remove(ENDPOINT_SLICES, namespace_of(item), name_of(item), uid_of(item))
        for item in present[len(wanted) :]
    ]
    return tuple(changes)


def _slice_contents(
    service: Object, groups: Mapping[Ports, list[Object]], family: str
) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    for ports, pods in sorted(groups.items()):
        endpoints = [_endpoint(service, pod, address) for pod in pods if (address := _address(pod, family))]
        contents += [
            {
                "ports": [_slice_port(port) for port in ports],
                "endpoints": endpoints[start : start + MOST_IN_A_SLICE],
            }
            for start in range(0, len(endpoints), MOST_IN_A_SLICE)
        ]
    return contents or [{"ports": [], "endpoints": []}]


def _slice(service: Object, family: str, content: dict[str, Any]) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{name_of(service)}-",
            "namespace": namespace_of(service),
            "labels": _labels(service) | {SERVICE_NAME: name_of(service), MANAGED_BY: MANAGER},
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": family,
        **content,
    }


def _labels(service: Object) -> dict[str, str]:
    headless = {HEADLESS: ""} if spec_of(service).get("clusterIP") == "None" else {}
    return dict(labels_of(service)) | headless


def _slice_port(port: tuple[str, int, str, str]) -> Object:
    name, number, protocol, application = port
    named = {"name": name, "port": number, "protocol": protocol}
    return named | ({"appProtocol": application} if application else {})


def _endpoint(service: Object, pod: Object, address: str) -> Object:
    serving = is_ready(pod) or _publishes_all(service)
    endpoint: Object = {
        "addresses": [address],
        "conditions": {
            "ready": serving and (not is_deleting(pod) or _publishes_all(service)),
            "serving": serving,
            "terminating": is_deleting(pod),
        },
        "targetRef": _target_reference(pod),
    }
    if spec_of(pod).get("nodeName"):
        endpoint["nodeName"] = spec_of(pod)["nodeName"]
    if _hostname(service, pod):
        endpoint["hostname"] = _hostname(service, pod)
    return endpoint


def _publishes_all(service: Object) -> bool:
    return bool(spec_of(service).get("publishNotReadyAddresses"))


def _target_reference(pod: Object) -> Object:
    return {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}


def _hostname(service: Object, pod: Object) -> str:
    spec = spec_of(pod)
    return str(spec.get("hostname", "")) if spec.get("subdomain") == name_of(service) else ""


def _endpoints_changes(
    view: View, service: Object, groups: Mapping[Ports, list[Object]], family: str
) -> tuple[Change, ...]:
    """Endpoints know one family only, the service's first."""
    subsets = [
        subset
        for ports, pods in sorted(groups.items())
        if (subset := _subset(service, ports, pods, family)) is not None
    ]
    present = view.get(ENDPOINTS, namespace_of(service), name_of(service))
    if present is None:
        metadata = {"name": name_of(service), "namespace": namespace_of(service), "labels": _labels(service)}
        item = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
        return (Create(ENDPOINTS, item, quietly=True),)
    if (present.get("subsets") or []) == subsets:
        return ()
    return (Patch(ENDPOINTS, namespace_of(service), name_of(service), {"subsets": subsets}),)


def _subset(service: Object, ports: Ports, pods: Iterable[Object], family: str) -> Object | None:
    lists: dict[str, list[Object]] = {"addresses": [], "notReadyAddresses": []}
    for pod in pods:
        own = _address(pod, family)
        if not own or (is_deleting(pod) and not _publishes_all(service)):
            continue
        ready = is_ready(pod) or _publishes_all(service)
        address: Object = {"ip": own, "targetRef": _target_reference(pod)}
        if _hostname(service, pod):
            address["hostname"] = _hostname(service, pod)
        if spec_of(pod).get("nodeName"):
            address["nodeName"] = spec_of(pod)["nodeName"]
        lists["addresses" if ready else "notReadyAddresses"].append(address)
    filled = {name: addresses for name, addresses in lists.items() if addresses}
    if not filled:
        return None
    return filled | ({"ports": [_slice_port(port) for port in ports]} if ports else {})


def _endpoints_gone(view: View, key: Key) -> tuple[Change, ...]:
    """Slices go with their owner, the service; Endpoints have none and bear its name."""
    present = view.get(ENDPOINTS, key.namespace, key.name)
    return (Remove(ENDPOINTS, key.namespace, key.name, uid_of(present)),) if present else ()


def _of_pod(view: View, pod: Object) -> Iterable[Key]:
    return [
        Key(namespace_of(service), name_of(service))
        for service in view.list(SERVICES, namespace_of(pod))
        if spec_of(service).get("selector") and spec_of(service)["selector"].items() <= labels_of(pod).items()
    ]


def _of_slice(_view: View, item: Object) -> Iterable[Key]:
    name = labels_of(item).get(SERVICE_NAME)
    return (Key(namespace_of(item), name),) if name and labels_of(item).get(MANAGED_BY) == MANAGER else ()


ENDPOINTS_CONTROLLER = Controller(
    "endpoints",
    {SERVICES: itself, PODS: _of_pod, ENDPOINT_SLICES: _of_slice, ENDPOINTS: itself},
    reconcile,
)
