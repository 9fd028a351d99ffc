"""By which addresses and ports a pod's service is dialled: the ClusterIPs of the Services in front of it.

| tag | leads to |
|---|---|
| `virtual` | the mesh service's own port of the pod, by the Service the pod is registered for |
| `virtual-<service>` | the same, by another Service |
| `….ipv6` | the same, by the Service's address of the other family |
| `….<port>` | the same, by a further port of the Service |
| `….<port>:<pod port>` | that other port of the pod; without an address, when the Service is headless |

Ports that redirection leaves alone are not the mesh's; they are dialled in plain, past the sidecars.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from ipaddress import ip_address

from pellucid.kube.annotations import EXCLUDE_INBOUND_PORTS, PROMETHEUS_SCRAPE_PORT, parse_integer, parse_list
from pellucid.kube.controllers.endpoints.observed import ClusterService, Pod, ServicePort
from pellucid.kube.sidecar_ports import RESERVED_PORTS
from pellucid.model.services import ServiceAddress

VIRTUAL = "virtual"
ANY_PORT = 0
"""Of a virtual address: whatever the port, it leads to the mesh service."""


def virtual_addresses(
    pod: Pod, service_port: int, services: Sequence[ClusterService], chosen: ClusterService | None
) -> Iterator[tuple[str, ServiceAddress]]:
    """Tagged addresses of a pod's instances. chosen: the Service that the pod is registered for."""
    for service in sorted(services, key=lambda service: service.name):
        tag, family = (VIRTUAL if service == chosen else f"{VIRTUAL}-{service.name}"), ""
        own = _ports_to(service, pod, service_port)
        if not own and (service == chosen or not service_port):
            own = (ANY_PORT,)
        for address in service.cluster_ips or ("",):
            for number in own if address else ():
                further = "" if number == own[0] else f".{number}"
                yield tag + family + further, ServiceAddress(address, number)
            for number, target in _others(service, pod, own):
                yield f"{tag}{family}.{number}:{target}", ServiceAddress(address, number)
            family = f".ipv{ip_address(service.cluster_ips[-1]).version}" if address else ""


def _ports_to(service: ClusterService, pod: Pod, service_port: int) -> tuple[int, ...]:
    """The ports of a Service that lead to the pod's port; else the one of the same number."""
    if not service_port:
        return ()
    leading = tuple(port.number for port in service.ports if _target_of(port, pod) == service_port)
    return leading or tuple(port.number for port in service.ports if port.number == service_port)


def _others(service: ClusterService, pod: Pod, own: Collection[int]) -> Iterator[tuple[int, int]]:
    """The other ports of a Service that are captured in the pod, each with the pod's port it leads to."""
    kept_out = _kept_out(pod)
    for port in service.ports if pod.is_redirected else ():
        target = _target_of(port, pod)
        if target and port.number not in own and target not in RESERVED_PORTS and target not in kept_out:
            yield port.number, target


def _kept_out(pod: Pod) -> frozenset[int | None]:
    """The ports of the application that redirection leaves alone."""
    given = (pod.annotations.get(name, "") for name in (EXCLUDE_INBOUND_PORTS, PROMETHEUS_SCRAPE_PORT))
    return frozenset(parse_integer(item) for text in given for item in parse_list(text))


def _target_of(port: ServicePort, pod: Pod) -> int:
    return pod.named_ports.get(port.target, 0) if isinstance(port.target, str) else port.target
