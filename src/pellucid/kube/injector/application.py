"""The author's own containers, as they are in the mesh: told of their upstreams, with probes that reach them,
and ending after their callers have heard of it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pellucid.kube.annotations import UpstreamAnnotation
from pellucid.kube.injector.probes import Rewritten, rewritten
from pellucid.kube.injector.wishes import Wishes
from pellucid.kube.injector.withdrawal import withdrawn_first
from pellucid.kube.pods import Object, containers_of, native_sidecars_of
from pellucid.kube.probe_targets import ProbeTarget

Container = dict[str, Any]


class Application(msgspec.Struct, frozen=True):
    """probe_ports: where the kubelet knocks at Envoy; targets: what it may ask of the sidecar."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...]
    probe_ports: tuple[int, ...]
    targets: tuple[ProbeTarget, ...]


def application_of(spec: Object, wishes: Wishes) -> Application:
    """Raises InvalidAnnotationError for a probe that asks nobody."""
    reached = _reached(spec, wishes)
    by_name = {each["name"]: each for each in reached.containers}
    containers, init_containers = (
        [_told_of(wishes.upstreams, by_name.get(each["name"], each)) for each in spec.get(field) or ()]
        for field in ("containers", "initContainers")
    )
    if wishes.withdrawal_hook is not None:
        containers = [withdrawn_first(each, wishes.withdrawal_hook) for each in containers]
    return Application(tuple(containers), tuple(init_containers), reached.ports, reached.targets)


def _reached(spec: Object, wishes: Wishes) -> Rewritten:
    if not wishes.rewrites_probes:
        return Rewritten(())
    return rewritten([*containers_of(spec), *native_sidecars_of(spec)])


def _told_of(upstreams: tuple[UpstreamAnnotation, ...], container: Object) -> Container:
    """A container that is told where its explicit upstreams are; what it already has stays."""
    own = container.get("env") or []
    known = {variable.get("name") for variable in own}
    told = [
        {"name": name, "value": value}
        for upstream in upstreams
        for name, value in _variables(upstream)
        if name not in known
    ]
    return {**container, "env": [*own, *told]} if told else dict(container)


def _variables(upstream: UpstreamAnnotation) -> tuple[tuple[str, str], ...]:
    stem = re.sub(r"[^A-Z0-9_]", "_", upstream.name.upper())
    return (
        (f"{stem}_CONNECT_SERVICE_HOST", "127.0.0.1"),
        (f"{stem}_CONNECT_SERVICE_PORT", str(upstream.local_bind_port)),
    )
