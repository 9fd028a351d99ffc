"""What a pod of the mesh becomes: the whole change, as a function of the pod.

Order matters. The redirection comes first, ours or the author's own, and a native sidecar right after it:
from then on everything, init containers of the author's too, goes through the sidecar, and no moment is left
in which the application can be reached past it. The other way round, the kernel would take the answers on
the sidecar's open connection to the server for new connections, and redirect them.

Source: consul-k8s 0.26, connect-inject/handler.go; Kubernetes docs, "Sidecar Containers".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pellucid.kube.annotations import (
    CONNECT_INJECT_MANAGED_BY,
    CONNECT_INJECT_STATUS,
    CONNECT_SERVICE,
    CONNECT_SERVICE_PORT,
    CONNECT_SERVICE_UPSTREAMS,
    ENDPOINTS_CONTROLLER,
    INJECTED,
    NATIVE_SIDECAR,
    ORIGINAL_POD,
    REDIRECTED,
    TRANSPARENT_PROXY_STATUS,
    InvalidAnnotationError,
    UpstreamAnnotation,
    parse_boolean,
    parse_upstreams,
    resolve_port,
)
from pellucid.kube.injector.advice import advice
from pellucid.kube.injector.clashes import OwnPort, refuse_clashes
from pellucid.kube.injector.containers import init_container, sidecar, volumes
from pellucid.kube.injector.lifecycle import Lifecycle, lifecycle_of
from pellucid.kube.injector.metrics import PodMetrics, metrics_of
from pellucid.kube.injector.original import original_pod
from pellucid.kube.injector.probes import Rewritten, overwrites_probes, rewritten
from pellucid.kube.injector.redirection import Redirection, Redirector, exclusion_flags, redirection_of
from pellucid.kube.injector.settings import (
    ENVOY_ADMIN_PORT,
    INBOUND_PORT,
    OUTBOUND_PORT,
    STATUS_PORT,
    InjectorSettings,
)
from pellucid.kube.injector.user_volumes import user_volumes
from pellucid.kube.injector.withdrawal import can_be_withdrawn, withdrawn_first
from pellucid.kube.pods import (
    Object,
    containers_of,
    named_ports,
    native_sidecars_of,
    ports_of,
    redirecting_init_container,
)

Pod = dict[str, Any]

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

_SERVICE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST_NAME = 128


class Injected(msgspec.Struct, frozen=True):
    """A pod with its sidecar, and what its author should know about it."""

    pod: Pod
    warnings: tuple[str, ...] = ()


class _Wishes(msgspec.Struct, frozen=True):
    """What a pod's annotations and specification ask for, all of it read and found possible."""

    annotations: Mapping[str, str]
    upstreams: tuple[UpstreamAnnotation, ...]
    metrics: PodMetrics
    lifecycle: Lifecycle
    redirection: Redirection
    native: bool
    rewrites_probes: bool


def injected(pod: Object, namespace_labels: Mapping[str, str], settings: InjectorSettings) -> Injected:
    """The pod with its sidecar. Raises InvalidAnnotationError with what cannot work, and why."""
    containers = containers_of(pod["spec"])
    if not containers:
        raise InvalidAnnotationError("the pod has no container to put a sidecar beside")
    if _runs_on_windows(pod["spec"]):
        raise InvalidAnnotationError("the pod is for Windows, and sidecars run on Linux only")
    annotations = _with_defaults(pod["metadata"].get("annotations") or {}, containers)
    wishes = _wishes(pod, annotations, namespace_labels, settings)
    refuse_clashes(pod["spec"], tuple(_own_ports(wishes)))
    metadata = {
        **pod["metadata"],
        "annotations": {**annotations, **_notes(pod, wishes)},
        "labels": {
            **(pod["metadata"].get("labels") or {}),
            CONNECT_INJECT_STATUS: INJECTED,
            CONNECT_INJECT_MANAGED_BY: ENDPOINTS_CONTROLLER,
        },
    }
    changed = {**pod, "metadata": metadata, "spec": _spec(pod["spec"], wishes, settings)}
    return Injected(changed, advice(pod, wishes.redirection, native=wishes.native))


def _runs_on_windows(spec: Object) -> bool:
    asked = (spec.get("os") or {}).get("name"), (spec.get("nodeSelector") or {}).get("kubernetes.io/os")
    return "windows" in asked


def _with_defaults(annotations: Mapping[str, str], containers: list[Object]) -> dict[str, str]:
    """The annotations with what holds for a pod that does not say: the names that others will look for."""
    found = {name: text for name, text in annotations.items() if name != TRANSPARENT_PROXY_STATUS}
    if not found.get(CONNECT_SERVICE, "").strip():
        found[CONNECT_SERVICE] = containers[0]["name"]
    if not found.get(CONNECT_SERVICE_PORT, "").strip():
        first = next(ports_of(containers), None)
        if first is not None:
            found[CONNECT_SERVICE_PORT] = first.get("name") or str(first["containerPort"])
    found.setdefault(DEFAULT_CONTAINER, containers[0]["name"])
    return found


def _wishes(
    pod: Object,
    annotations: Mapping[str, str],
    namespace_labels: Mapping[str, str],
    settings: InjectorSettings,
) -> _Wishes:
    ports = named_ports(containers_of(pod["spec"]))
    _check_service(annotations, ports)
    native = annotations.get(NATIVE_SIDECAR)
    overwrites = overwrites_probes(annotations, settings)
    redirection = redirection_of(pod, namespace_labels, settings)
    return _Wishes(
        annotations=annotations,
        upstreams=parse_upstreams(annotations.get(CONNECT_SERVICE_UPSTREAMS, ""), ports),
        metrics=metrics_of(annotations, ports, settings.metrics),
        lifecycle=lifecycle_of(annotations, settings.lifecycle),
        redirection=redirection,
        native=settings.native_sidecars and (native is None or parse_boolean(NATIVE_SIDECAR, native)),
        rewrites_probes=overwrites and redirection.by is Redirector.US,
    )


def _check_service(annotations: Mapping[str, str], ports: Mapping[str, int]) -> None:
    name, port = annotations[CONNECT_SERVICE].strip(), annotations.get(CONNECT_SERVICE_PORT, "").strip()
    if "," in name or "," in port:
        raise InvalidAnnotationError(
            f'a pod is one service of the mesh with one port: {CONNECT_SERVICE} is "{name}", '
            f'{CONNECT_SERVICE_PORT} is "{port}"; run one pod for each'
        )
    if len(name) > _LONGEST_NAME or not _SERVICE_NAME.fullmatch(name):
        raise InvalidAnnotationError(
            f"{CONNECT_SERVICE} annotation value of {name} is no name of a service: use letters, digits, "
            f'"-", "_" and ".", at most {_LONGEST_NAME}'
        )
    if port and resolve_port(port, ports) is None:
        raise InvalidAnnotationError(
            f"{CONNECT_SERVICE_PORT} annotation value of {port} is neither a port from 1 to 65535 nor the "
            "name of one of the pod's ports"
        )


def _own_ports(wishes: _Wishes) -> Iterator[OwnPort]:
    yield INBOUND_PORT, "connections from the mesh"
    yield STATUS_PORT, "its probes"
    yield ENVOY_ADMIN_PORT, "Envoy's administration"
    if wishes.redirection.by is not Redirector.NOBODY:
        yield OUTBOUND_PORT, "redirected connections"
    if wishes.metrics.enabled:
        yield wishes.metrics.scrape_port, "Prometheus"
    if wishes.metrics.merged_port:
        yield wishes.metrics.merged_port, "merged metrics"
    for upstream in wishes.upstreams:
        yield upstream.local_bind_port, f'upstream "{upstream.name}"'


def _notes(pod: Object, wishes: _Wishes) -> dict[str, str]:
    """What is written down for the controllers, for Prometheus and for people."""
    notes = {
        CONNECT_INJECT_STATUS: INJECTED,
        ORIGINAL_POD: json.dumps(original_pod(pod), separators=(",", ":"), sort_keys=True),
        **wishes.metrics.pod_annotations(),
    }
    return notes | ({TRANSPARENT_PROXY_STATUS: REDIRECTED} if wishes.redirection.by is Redirector.US else {})


def _spec(spec: Object, wishes: _Wishes, settings: InjectorSettings) -> dict[str, Any]:
    told = {
        field: [_told_of(wishes.upstreams, each) for each in spec.get(field) or ()]
        for field in ("initContainers", "containers")
    }
    reached = _reached({**spec, **told}) if wishes.rewrites_probes else Rewritten(())
    by_name = {each["name"]: each for each in reached.containers}
    containers, init_containers = (
        [by_name.get(each["name"], each) for each in told[field]]
        for field in ("containers", "initContainers")
    )
    if can_be_withdrawn(wishes.lifecycle, wishes.redirection):
        containers = [withdrawn_first(each) for each in containers]
    ours = sidecar(
        wishes.annotations,
        wishes.redirection,
        wishes.metrics,
        wishes.lifecycle,
        reached.targets,
        settings,
        native=wishes.native,
    )
    first, others = _redirecting_first(spec, init_containers)
    if wishes.redirection.by is Redirector.US or not wishes.native:
        metrics_ports = (wishes.metrics.scrape_port,) if wishes.metrics.enabled else ()
        exclusions = exclusion_flags(wishes.annotations, (STATUS_PORT, *reached.ports, *metrics_ports))
        first.append(init_container(wishes.redirection, exclusions, settings, waits=not wishes.native))
    return {
        **spec,
        "volumes": [
            *(spec.get("volumes") or ()),
            *volumes(settings),
            *user_volumes(wishes.annotations),
        ],
        "initContainers": [*first, *([ours] if wishes.native else []), *others],
        "containers": containers if wishes.native else [ours, *containers],
    }


def _reached(spec: Object) -> Rewritten:
    return rewritten([*containers_of(spec), *native_sidecars_of(spec)])


def _redirecting_first(spec: Object, init_containers: list[Pod]) -> tuple[list[Pod], list[Pod]]:
    """The author's init containers up to the one that redirects, and the others."""
    authors = redirecting_init_container(spec)
    if authors is None:
        return [], init_containers
    end = [container["name"] for container in init_containers].index(authors["name"]) + 1
    return init_containers[:end], init_containers[end:]


def _told_of(upstreams: tuple[UpstreamAnnotation, ...], container: Object) -> dict[str, Any]:
    """A container of the author's, told where its explicit upstreams are; what it already has stays."""
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
