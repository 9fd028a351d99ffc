"""What a pod of the mesh becomes: the whole change, as a function of the pod.

Order matters. The redirection comes first, ours or the author's own, and a native sidecar right after it:
from then on everything, init containers of the author's too, goes through the sidecar, and no moment is left
in which the application can be reached past it. The other way round, the kernel would take the answers on
the sidecar's open connection to the server for new connections, and redirect them.

Source: consul-k8s 0.26, connect-inject/handler.go; Kubernetes docs, "Sidecar Containers".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

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
    InvalidAnnotationError,
    UpstreamAnnotation,
    parse_boolean,
    parse_upstreams,
    resolve_port,
)
from pellucid.kube.injector.containers import init_container, sidecar, volumes
from pellucid.kube.injector.metrics import PodMetrics, metrics_of
from pellucid.kube.injector.probes import overwrites_probes, rewritten
from pellucid.kube.injector.redirection import Redirection, Redirector, exclusion_flags, redirection_of
from pellucid.kube.injector.settings import STATUS_PORT, InjectorSettings
from pellucid.kube.pods import (
    Object,
    containers_of,
    named_ports,
    ports_of,
    redirecting_init_container,
)

Pod = dict[str, Any]

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def injected(pod: Object, namespace_labels: Mapping[str, str], settings: InjectorSettings) -> Pod:
    """The pod with its sidecar. Raises InvalidAnnotationError with what cannot work, and why."""
    annotations = {**(pod["metadata"].get("annotations") or {})}
    containers = containers_of(pod["spec"])
    if not containers:
        raise InvalidAnnotationError("the pod has no container to put a sidecar beside")
    ports = named_ports(containers)
    _default_service(annotations, containers)
    _check_service_port(annotations, ports)
    upstreams = parse_upstreams(annotations.get(CONNECT_SERVICE_UPSTREAMS, ""), ports)
    metrics = metrics_of(annotations, ports, settings.metrics)
    redirection = redirection_of(pod, namespace_labels, settings)
    spec = _spec(pod["spec"], annotations, redirection, metrics, upstreams, settings)
    annotations |= {
        CONNECT_INJECT_STATUS: INJECTED,
        ORIGINAL_POD: json.dumps(pod, separators=(",", ":"), sort_keys=True),
        **metrics.pod_annotations(),
    }
    annotations.setdefault(DEFAULT_CONTAINER, containers[0]["name"])
    labels = {
        **(pod["metadata"].get("labels") or {}),
        CONNECT_INJECT_STATUS: INJECTED,
        CONNECT_INJECT_MANAGED_BY: ENDPOINTS_CONTROLLER,
    }
    return {
        **pod,
        "metadata": {**pod["metadata"], "annotations": annotations, "labels": labels},
        "spec": spec,
    }


def _spec(
    spec: Object,
    annotations: Mapping[str, str],
    redirection: Redirection,
    metrics: PodMetrics,
    upstreams: tuple[UpstreamAnnotation, ...],
    settings: InjectorSettings,
) -> dict[str, Any]:
    native = _is_native(annotations, settings)
    containers = [_knowing(each, upstreams) for each in spec.get("containers") or ()]
    init_containers = [_knowing(each, upstreams) for each in spec.get("initContainers") or ()]
    probe_ports: tuple[int, ...] = ()
    if redirection.by is Redirector.US and overwrites_probes(annotations, settings):
        containers, probe_ports = rewritten(containers)
    open_ports = (STATUS_PORT, *probe_ports, *((metrics.scrape_port,) if metrics.enabled else ()))
    exclusions = exclusion_flags(annotations, open_ports)
    ours = sidecar(annotations, redirection, metrics, settings, native=native)
    first, others = _redirecting_first(spec, init_containers)
    if redirection.by is Redirector.US or not native:
        first.append(init_container(redirection, exclusions, settings, waits=not native))
    return {
        **spec,
        "volumes": [*(spec.get("volumes") or ()), *volumes(settings)],
        "initContainers": [*first, *([ours] if native else []), *others],
        "containers": containers if native else [ours, *containers],
    }


def _redirecting_first(spec: Object, init_containers: list[Pod]) -> tuple[list[Pod], list[Pod]]:
    """The author's init containers up to the one that redirects, and the others."""
    authors = redirecting_init_container(spec)
    if authors is None:
        return [], init_containers
    end = [container["name"] for container in init_containers].index(authors["name"]) + 1
    return init_containers[:end], init_containers[end:]


def _default_service(annotations: dict[str, str], containers: list[Object]) -> None:
    """Write down what holds for a pod that does not say: the names that others will look for."""
    if not annotations.get(CONNECT_SERVICE):
        annotations[CONNECT_SERVICE] = containers[0]["name"]
    if not annotations.get(CONNECT_SERVICE_PORT):
        first = next(ports_of(containers), None)
        if first is not None:
            annotations[CONNECT_SERVICE_PORT] = first.get("name") or str(first["containerPort"])


def _check_service_port(annotations: Mapping[str, str], ports: Mapping[str, int]) -> None:
    text = annotations.get(CONNECT_SERVICE_PORT, "")
    if text and resolve_port(text, ports) is None:
        raise InvalidAnnotationError(
            f"{CONNECT_SERVICE_PORT} annotation value of {text} is neither a port from 1 to 65535 nor the "
            "name of one of the pod's ports"
        )


def _is_native(annotations: Mapping[str, str], settings: InjectorSettings) -> bool:
    asked = annotations.get(NATIVE_SIDECAR)
    return settings.native_sidecars and (not asked or parse_boolean(NATIVE_SIDECAR, asked))


def _knowing(container: Object, upstreams: tuple[UpstreamAnnotation, ...]) -> dict[str, Any]:
    """A container of the author's, told where its explicit upstreams are."""
    if not upstreams:
        return dict(container)
    told = []
    for upstream in upstreams:
        stem = upstream.name.upper().replace("-", "_")
        told.append({"name": f"{stem}_CONNECT_SERVICE_HOST", "value": "127.0.0.1"})
        told.append({"name": f"{stem}_CONNECT_SERVICE_PORT", "value": str(upstream.local_bind_port)})
    return {**container, "env": [*(container.get("env") or ()), *told]}
