"""Probes that the kubelet sends from outside, made to reach the application past a redirection.

The kubelet speaks no mutual TLS. HTTP and gRPC probes get a port of their own, at which Envoy lets through
that one path; TCP probes, which Envoy would answer for an application that is down, ask the sidecar process
to dial the application. Probes by command stay as they are.

Source: consul-k8s 0.26, connect-inject/handler.go (ports 20300 to 20599).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.kube.annotations import OVERWRITE_PROBES, parse_boolean
from pellucid.kube.injector.settings import STATUS_PORT, InjectorSettings
from pellucid.kube.pods import SIDECAR_CONTAINERS, Object, named_ports

FIRST_PORTS = {"livenessProbe": 20300, "readinessProbe": 20400, "startupProbe": 20500}


def overwrites_probes(annotations: Mapping[str, str], settings: InjectorSettings) -> bool:
    """Raises InvalidAnnotationError."""
    text = annotations.get(OVERWRITE_PROBES)
    return settings.overwrite_probes if not text else parse_boolean(OVERWRITE_PROBES, text)


def rewritten(containers: Sequence[Object]) -> tuple[list[dict[str, Any]], tuple[int, ...]]:
    """The containers with rewritten probes, and the ports at which the kubelet now knocks."""
    result, ports = [], []
    for number, container in enumerate(containers):
        changed = dict(container)
        if container.get("name") not in SIDECAR_CONTAINERS:
            for kind, first in FIRST_PORTS.items():
                if probe := container.get(kind):
                    changed[kind], knocked = _rewritten(probe, first + number, container)
                    ports += knocked
        result.append(changed)
    return result, tuple(ports)


def _rewritten(probe: Object, port: int, container: Object) -> tuple[dict[str, Any], list[int]]:
    if "httpGet" in probe:
        return {**probe, "httpGet": {**probe["httpGet"], "port": port}}, [port]
    if "grpc" in probe:
        return {**probe, "grpc": {**probe["grpc"], "port": port}}, [port]
    if "tcpSocket" in probe:
        asked = probe["tcpSocket"]["port"]
        number = named_ports([container]).get(asked, asked) if isinstance(asked, str) else asked
        rest = {key: value for key, value in probe.items() if key != "tcpSocket"}
        return {**rest, "httpGet": {"port": STATUS_PORT, "path": f"/tcp/{number}"}}, []
    return dict(probe), []
