"""Probes and hooks that the kubelet sends from outside, made to reach the application past a redirection.

The kubelet speaks no mutual TLS. HTTP and gRPC probes get a port of their own, at which Envoy lets through
that one path. Envoy would answer TCP probes for an application that is down, and can't see into HTTPS; these,
and the HTTP hooks of a container's life, ask the sidecar process, which asks the application. Commands stay
as they are, and so does what is sent to another host.

Source: consul-k8s 0.26, connect-inject/handler.go (ports 20300 to 20599).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pellucid.kube.annotations import (
    OVERWRITE_PROBES,
    InvalidAnnotationError,
    complaining,
    parse_boolean,
    resolve_port,
)
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.pods import Object, named_ports
from pellucid.kube.probe_targets import ProbeTarget
from pellucid.kube.sidecar_ports import PROBE_PORTS, STATUS_PORT

MOST_CONTAINERS = 100
FIRST_PORTS = dict(
    zip(("livenessProbe", "readinessProbe", "startupProbe"), PROBE_PORTS[::MOST_CONTAINERS], strict=True)
)
HOOKS = ("postStart", "preStop")

Container = dict[str, Any]


class Rewritten(msgspec.Struct, frozen=True):
    """Containers with rewritten probes.

    ports: where the kubelet now knocks at Envoy; targets: what it may now ask of the sidecar.
    """

    containers: tuple[Container, ...]
    ports: tuple[int, ...] = ()
    targets: tuple[ProbeTarget, ...] = ()


def overwrites_probes(annotations: Mapping[str, str], settings: InjectorSettings) -> bool:
    """Raises InvalidAnnotationError."""
    text = annotations.get(OVERWRITE_PROBES)
    if text is None:
        return settings.overwrite_probes
    with complaining("error overwriting readiness or liveness probes"):
        return parse_boolean(OVERWRITE_PROBES, text)


def is_outward(handler: Object) -> bool:
    """True for what the kubelet sends over the network to this pod."""
    for how in ("httpGet", "tcpSocket", "grpc"):
        if how in handler:
            return not handler[how].get("host")
    return False


def rewritten(containers: Sequence[Object]) -> Rewritten:
    """The application's containers with their probes and hooks rewritten. Raises InvalidAnnotationError."""
    if len(containers) > MOST_CONTAINERS:
        raise InvalidAnnotationError(
            f"probes of at most {MOST_CONTAINERS} containers can be rewritten, and the pod has "
            f'{len(containers)}: set {OVERWRITE_PROBES} to "false"'
        )
    rewriters = [_Rewriter(container, number) for number, container in enumerate(containers)]
    return Rewritten(
        tuple(rewriter.container() for rewriter in rewriters),
        tuple(port for rewriter in rewriters for port in rewriter.ports),
        tuple(target for rewriter in rewriters for target in rewriter.targets),
    )


class _Rewriter:
    """Rewrites one container and remembers what for."""

    def __init__(self, container: Object, number: int) -> None:
        self._container = container
        self._number = number
        self._named_ports = named_ports([container])
        self.ports: list[int] = []
        self.targets: list[ProbeTarget] = []

    def container(self) -> Container:
        changed = dict(self._container)
        for kind in FIRST_PORTS:
            if is_outward(changed.get(kind) or {}):
                changed[kind] = self._probe(kind, changed[kind])
        hooks = dict(changed.get("lifecycle") or {})
        for kind in HOOKS:
            if "httpGet" in (hooks.get(kind) or {}) and is_outward(hooks[kind]):
                hooks[kind] = {"httpGet": self._asked_of_sidecar(kind, hooks[kind])}
        return {**changed, "lifecycle": hooks} if hooks else changed

    def _probe(self, kind: str, probe: Object) -> Container:
        for how in ("httpGet", "grpc"):
            if how in probe and probe[how].get("scheme", "HTTP") == "HTTP":
                self._resolved(kind, probe[how]["port"])
                port = FIRST_PORTS[kind] + self._number
                self.ports.append(port)
                return {**probe, how: {**probe[how], "port": port}}
        rest = {key: value for key, value in probe.items() if key not in ("tcpSocket", "httpGet")}
        return {**rest, "httpGet": self._asked_of_sidecar(kind, probe)}

    def _asked_of_sidecar(self, kind: str, handler: Object) -> Container:
        asked = handler.get("httpGet") or {}
        scheme = asked.get("scheme", "HTTP").lower() if asked else "tcp"
        port = self._resolved(kind, (asked or handler["tcpSocket"])["port"])
        path = "/" + asked.get("path", "/").removeprefix("/") if asked else ""
        target = ProbeTarget(self._container["name"], kind, scheme, port, path)
        self.targets.append(target)
        return {"port": STATUS_PORT, "path": target.asked_at}

    def _resolved(self, kind: str, port: int | str) -> int:
        number = resolve_port(str(port), self._named_ports)
        if number is None:
            raise InvalidAnnotationError(
                f'container "{self._container["name"]}": {kind} asks port "{port}", which is neither a port '
                "from 1 to 65535 nor the name of one of the container's ports"
            )
        return number
