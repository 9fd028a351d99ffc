"""Services as address translation. Pure: objects in, the text of `iptables-restore` out.

A chain per service port picks one of the ready endpoints, each with the same chance; where the service has
client affinity, whom a client was sent to before comes first. Source: kube-proxy's iptables mode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import msgspec

Object = dict[str, Any]
_AFFINITY_S = 10_800


class Backend(msgspec.Struct, frozen=True, order=True):
    """Where a connection ends up."""

    address: str
    port: int


class ServicePort(msgspec.Struct, frozen=True):
    """One port of one service, in one address family."""

    name: str
    """`namespace/service:port`, for people who read the rules."""
    protocol: str
    port: int
    addresses: tuple[str, ...]
    node_port: int
    backends: tuple[Backend, ...]
    affinity_s: int = 0


class HostPort(msgspec.Struct, frozen=True):
    """A port of the node that belongs to a pod; `host_address` is empty for all of the node's."""

    host_address: str
    port: int
    protocol: str
    backend: Backend


def service_ports(
    services: Iterable[Object], slices: Iterable[Object], *, version: int
) -> tuple[ServicePort, ...]:
    """What services have addresses of the family, with their ready endpoints; `version` is 4 or 6."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for one in slices:
        label = one["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
        if one.get("addressType", "IPv4") == f"IPv{version}":
            by_service.setdefault((one["metadata"]["namespace"], label), []).append(one)
    found = []
    for service in services:
        key = (service["metadata"]["namespace"], service["metadata"]["name"])
        addresses = _addresses(service, version)
        if addresses:
            found += [
                _port(service, port, addresses, by_service.get(key, ()))
                for port in service["spec"].get("ports") or ()
            ]
    return tuple(sorted(found, key=lambda one: (one.name, one.protocol)))


def host_ports(pods: Iterable[Object], node_name: str, *, version: int) -> tuple[HostPort, ...]:
    """The host ports of a node's running pods."""
    found = []
    for pod in pods:
        wanted = _wanted_host_ports(pod)
        over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if not wanted or over or pod["spec"].get("nodeName") != node_name:
            continue
        addresses = [one["ip"] for one in pod.get("status", {}).get("podIPs") or ()]
        address = next((one for one in addresses if ip_address(one).version == version), "")
        if address:
            found += [
                HostPort(
                    port.get("hostIP") or "",
                    port["hostPort"],
                    port.get("protocol", "TCP").lower(),
                    Backend(address, port["containerPort"]),
                )
                for port in wanted
            ]
    return tuple(found)


def _wanted_host_ports(pod: Object) -> list[Object]:
    """None for a pod that has the node's network anyway."""
    if pod["spec"].get("hostNetwork"):
        return []
    every = (port for one in pod["spec"]["containers"] for port in one.get("ports") or ())
    return [port for port in every if port.get("hostPort")]


def nat_table(
    ports: Sequence[ServicePort],
    hosts: Sequence[HostPort],
    *,
    version: int,
    local_addresses: Sequence[str],
    pods: str,
    last: Sequence[str] = (),
) -> str:
    """The whole nat table. `local_addresses` are the nodes' own, `pods` is the network of all pods.

    last: further lines.
    """
    used = [port for port in ports if port.backends]
    lines = ["*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-POSTROUTING - [0:0]", ":KUBE-NODEPORTS - [0:0]"]
    for port in used:
        lines.append(f":{_chain(port)} - [0:0]")
        lines += [f":{_chain(port, backend)} - [0:0]" for backend in port.backends]
    lines += [
        "-A PREROUTING -j KUBE-SERVICES",
        "-A OUTPUT -j KUBE-SERVICES",
        "-A POSTROUTING -j KUBE-POSTROUTING",
    ]
    lines += [f"-A KUBE-POSTROUTING -s {pods} -m mark --mark 0x4000/0x4000 -j MASQUERADE"]
    for port in used:
        lines += _service(port)
    lines += [f"-A KUBE-SERVICES -d {address} -j KUBE-NODEPORTS" for address in local_addresses]
    lines += [_host_port(host) for host in hosts]
    return "\n".join([*lines, *last, "COMMIT", ""])


def filter_table(ports: Sequence[ServicePort], *, version: int) -> str:
    """The whole filter table: a service without a ready endpoint refuses at once."""
    reset = f"REJECT --reject-with {'icmp' if version == 4 else 'icmp6'}-port-unreachable"
    lines = ["*filter", ":KUBE-SERVICES - [0:0]"]
    lines += [f"-A {chain} -j KUBE-SERVICES" for chain in ("INPUT", "FORWARD", "OUTPUT")]
    for port in ports:
        if not port.backends:
            matched = f"-p {port.protocol} --dport {port.port} {_comment(port)}"
            lines += [f"-A KUBE-SERVICES -d {one} {matched} -j {reset}" for one in port.addresses]
    return "\n".join([*lines, "COMMIT", ""])


def _service(port: ServicePort) -> list[str]:
    chain = _chain(port)
    lines = [
        f"-A KUBE-SERVICES -d {address} -p {port.protocol} --dport {port.port} {_comment(port)} -j {chain}"
        for address in port.addresses
    ]
    if port.node_port:
        lines.append(
            f"-A KUBE-NODEPORTS -p {port.protocol} --dport {port.node_port} {_comment(port)} -j {chain}"
        )
    if port.affinity_s:
        for backend in port.backends:
            name = _chain(port, backend)
            seen = f"-m recent --name {name} --rcheck --seconds {port.affinity_s} --reap"
            lines.append(f"-A {chain} {seen} -j {name}")
    for index, backend in enumerate(port.backends):
        left = len(port.backends) - index
        chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        lines.append(f"-A {chain} {chance}-j {_chain(port, backend)}")
        lines += _backend(port, backend)
    return lines


def _backend(port: ServicePort, backend: Backend) -> list[str]:
    name = _chain(port, backend)
    remember = f"-m recent --name {name} --set " if port.affinity_s else ""
    return [
        # A pod that reaches itself through a service must not see its own address as the other end's.
        f"-A {name} -s {backend.address} -j MARK --set-xmark 0x4000/0x4000",
        f"-A {name} -p {port.protocol} {remember}-j DNAT --to-destination {_socket(backend)}",
    ]


def _host_port(host: HostPort) -> str:
    where = f"-d {host.host_address} " if host.host_address not in ("", "0.0.0.0", "::") else ""  # noqa: S104
    target = _socket(host.backend)
    return (
        f"-A KUBE-NODEPORTS {where}-p {host.protocol} --dport {host.port} -j DNAT --to-destination {target}"
    )


def _socket(backend: Backend) -> str:
    return (
        f"[{backend.address}]:{backend.port}"
        if ":" in backend.address
        else f"{backend.address}:{backend.port}"
    )


def _comment(port: ServicePort) -> str:
    return f'-m comment --comment "{port.name}"'


def _chain(port: ServicePort, backend: Backend | None = None) -> str:
    text = f"{port.name}/{port.protocol}" + (f"/{_socket(backend)}" if backend else "")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16].upper()
    return f"KUBE-{'SEP' if backend else 'SVC'}-{digest}"


def _addresses(service: Object, version: int) -> tuple[str, ...]:
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return ()
    own = spec.get("clusterIPs") or [spec.get("clusterIP", "")]
    if not own or own[0] in ("", "None"):
        return ()
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    given = [one.get("ip", "") for one in balancer.get("ingress") or ()]
    every = [*own, *(spec.get("externalIPs") or ()), *given]
    return tuple(one for one in every if one and ip_address(one).version == version)


def _port(service: Object, port: Object, addresses: tuple[str, ...], slices: Iterable[Object]) -> ServicePort:
    metadata, spec = service["metadata"], service["spec"]
    affinity = 0
    if spec.get("sessionAffinity") == "ClientIP":
        settings: Mapping[str, Any] = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        affinity = settings.get("timeoutSeconds", _AFFINITY_S)
    return ServicePort(
        name=f"{metadata['namespace']}/{metadata['name']}" + (f":{port['name']}" if port.get("name") else ""),
        protocol=port.get("protocol", "TCP").lower(),
        port=port["port"],
        addresses=addresses,
        node_port=port.get("nodePort") or 0,
        backends=_backends(port, slices),
        affinity_s=affinity,
    )


def _backends(port: Object, slices: Iterable[Object]) -> tuple[Backend, ...]:
    wanted = (port.get("name") or "", port.get("protocol", "TCP"))
    found = set()
    for one in slices:
        for target in one.get("ports") or ():
            if (target.get("name") or "", target.get("protocol", "TCP")) != wanted or not target.get("port"):
                continue
            for endpoint in one.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True):
                    found |= {Backend(address, target["port"]) for address in endpoint["addresses"]}
    return tuple(sorted(found))
