"""What a pod of the mesh becomes: the whole change, as a function of the pod.

Order matters. The redirection comes first, ours or the author's own, and a native sidecar right after it:
from then on everything, init containers of the author's too, goes through the sidecar, and no moment is left
in which the application can be reached past it. The other way round, the kernel would take the answers on
the sidecar's open connection to the server for new connections, and redirect them.

Source: consul-k8s 0.26, connect-inject/handler.go; Kubernetes docs, "Sidecar Containers".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pellucid.kube.annotations import (
    CONNECT_INJECT_MANAGED_BY,
    CONNECT_INJECT_STATUS,
    ENDPOINTS_CONTROLLER,
    INJECTED,
    ORIGINAL_POD,
    REDIRECTED,
    TRANSPARENT_PROXY_STATUS,
)
from pellucid.kube.injector.advice import advice
from pellucid.kube.injector.application import Application, application_of
from pellucid.kube.injector.containers import Container, init_container, sidecar, volumes
from pellucid.kube.injector.original import original_pod
from pellucid.kube.injector.redirection import exclusion_flags
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.injector.user_volumes import user_volumes
from pellucid.kube.injector.wishes import Wishes, wishes_of
from pellucid.kube.pods import Object, redirecting_init_container
from pellucid.kube.sidecar_ports import STATUS_PORT

Pod = dict[str, Any]


class Injected(msgspec.Struct, frozen=True):
    """A pod with its sidecar, and what its author should know about it."""

    pod: Pod
    warnings: tuple[str, ...] = ()


def injected(pod: Object, namespace_labels: Mapping[str, str], settings: InjectorSettings) -> Injected:
    """The pod with its sidecar. Raises InvalidAnnotationError with what cannot work, and why."""
    wishes = wishes_of(pod, namespace_labels, settings)
    changed = {**pod, "metadata": _metadata(pod, wishes), "spec": _spec(pod["spec"], wishes, settings)}
    return Injected(changed, advice(pod, wishes.redirection, ends=wishes.native or bool(wishes.ends_after_s)))


def _metadata(pod: Object, wishes: Wishes) -> dict[str, Any]:
    """With what the controllers, Prometheus and people will look for."""
    original = json.dumps(original_pod(pod), separators=(",", ":"), sort_keys=True)
    annotations = {
        **wishes.annotations,
        CONNECT_INJECT_STATUS: INJECTED,
        ORIGINAL_POD: original,
        **wishes.metrics.pod_annotations(),
        **({TRANSPARENT_PROXY_STATUS: REDIRECTED} if wishes.is_redirected_by_us else {}),
    }
    labels = {
        **(pod["metadata"].get("labels") or {}),
        CONNECT_INJECT_STATUS: INJECTED,
        CONNECT_INJECT_MANAGED_BY: ENDPOINTS_CONTROLLER,
    }
    return {**pod["metadata"], "annotations": annotations, "labels": labels}


def _spec(spec: Object, wishes: Wishes, settings: InjectorSettings) -> dict[str, Any]:
    application = application_of(spec, wishes)
    ours = sidecar(wishes, application.targets, settings)
    first, others = _redirecting_first(spec, application.init_containers)
    init_containers = [
        *first,
        *_our_init_container(application, wishes, settings),
        *([ours] if wishes.native else []),
        *others,
    ]
    containers = [*([] if wishes.native else [ours]), *application.containers]
    added = [*volumes(settings), *user_volumes(wishes.annotations)]
    return {
        **spec,
        **({"shareProcessNamespace": True} if wishes.ends_after_s else {}),
        "volumes": [*(spec.get("volumes") or ()), *added],
        "initContainers": init_containers,
        "containers": containers,
    }


def _our_init_container(
    application: Application, wishes: Wishes, settings: InjectorSettings
) -> list[Container]:
    """None for a pod with a native sidecar that we don't redirect."""
    if wishes.native and not wishes.is_redirected_by_us:
        return []
    metrics_ports = (wishes.metrics.scrape_port,) if wishes.metrics.enabled else ()
    open_ports = (STATUS_PORT, *application.probe_ports, *metrics_ports)
    exclusions = exclusion_flags(wishes.annotations, open_ports)
    return [init_container(wishes, exclusions, settings)]


def _redirecting_first(
    spec: Object, init_containers: Sequence[Container]
) -> tuple[Sequence[Container], Sequence[Container]]:
    """The author's init containers up to the one that redirects, and the others."""
    authors = redirecting_init_container(spec)
    if authors is None:
        return (), init_containers
    end = [container["name"] for container in init_containers].index(authors["name"]) + 1
    return init_containers[:end], init_containers[end:]
