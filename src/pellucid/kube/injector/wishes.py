"""What a pod asks for, all of it read and found possible before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from pellucid.kube.annotations import (
    CONNECT_SERVICE,
    CONNECT_SERVICE_PORT,
    CONNECT_SERVICE_UPSTREAMS,
    NATIVE_SIDECAR,
    TRANSPARENT_PROXY_STATUS,
    InvalidAnnotationError,
    UpstreamAnnotation,
    parse_boolean,
    parse_upstreams,
    resolve_port,
)
from pellucid.kube.injector.clashes import OwnPort, refuse_clashes
from pellucid.kube.injector.lifecycle import Lifecycle, lifecycle_of
from pellucid.kube.injector.metrics import PodMetrics, metrics_of
from pellucid.kube.injector.probes import overwrites_probes
from pellucid.kube.injector.redirection import Redirection, Redirector, redirection_of
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.injector.withdrawal import withdrawal_hook
from pellucid.kube.pods import Object, containers_of, named_ports, ports_of
from pellucid.kube.sidecar_ports import ADMIN_PORT, INBOUND_PORT, OUTBOUND_PORT, STATUS_PORT

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

_SERVICE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST_NAME = 128
_ENDS_AFTER_S = {"Never": 1, "OnFailure": 330}
"""An application that failed is started again after five minutes at the latest."""


class Wishes(msgspec.Struct, frozen=True):
    """annotations: the pod's, with what holds where it does not say. withdrawal_hook: the `preStop` hook of
    containers without one of their own; None for no hook.
    """

    annotations: Mapping[str, str]
    upstreams: tuple[UpstreamAnnotation, ...]
    metrics: PodMetrics
    lifecycle: Lifecycle
    redirection: Redirection
    native: bool
    rewrites_probes: bool
    withdrawal_hook: Object | None
    ends_after_s: int = 0
    """So long after the application the sidecar ends; 0: the kubelet ends it, or its end cannot be seen."""

    @property
    def is_redirected_by_us(self) -> bool:
        """True if the pod gets the init container that redirects."""
        return self.redirection.by is Redirector.US


def wishes_of(pod: Object, namespace_labels: Mapping[str, str], settings: InjectorSettings) -> Wishes:
    """Raises InvalidAnnotationError with what cannot work, and why."""
    spec = pod["spec"]
    containers = containers_of(spec)
    if not containers:
        raise InvalidAnnotationError("the pod has no container to put a sidecar beside")
    if _runs_on_windows(spec):
        raise InvalidAnnotationError("the pod is for Windows, and sidecars run on Linux only")
    annotations = _with_defaults(pod["metadata"].get("annotations") or {}, containers)
    ports = named_ports(containers)
    _check_service(annotations, ports)
    native = annotations.get(NATIVE_SIDECAR)
    is_native = settings.native_sidecars and (native is None or parse_boolean(NATIVE_SIDECAR, native))
    overwrites = overwrites_probes(annotations, settings)
    redirection = redirection_of(pod, namespace_labels, settings)
    lifecycle = lifecycle_of(annotations, settings.lifecycle)
    wishes = Wishes(
        annotations=annotations,
        upstreams=parse_upstreams(annotations.get(CONNECT_SERVICE_UPSTREAMS, ""), ports),
        metrics=metrics_of(annotations, ports, settings.metrics),
        lifecycle=lifecycle,
        redirection=redirection,
        native=is_native,
        rewrites_probes=overwrites and redirection.by is Redirector.US,
        withdrawal_hook=withdrawal_hook(lifecycle, redirection, hooks_may_sleep=settings.hooks_may_sleep),
        ends_after_s=0 if is_native else _ends_after_s(spec),
    )
    refuse_clashes(spec, tuple(_own_ports(wishes)))
    return wishes


def _ends_after_s(spec: Object) -> int:
    """Of a pod that is to complete. Seen by its processes, which its author must not have kept apart."""
    if spec.get("hostPID") or spec.get("shareProcessNamespace") is False:
        return 0
    return _ENDS_AFTER_S.get(spec.get("restartPolicy", "Always"), 0)


def _runs_on_windows(spec: Object) -> bool:
    asked = (spec.get("os") or {}).get("name"), (spec.get("nodeSelector") or {}).get("kubernetes.io/os")
    return "windows" in asked


def _with_defaults(annotations: Mapping[str, str], containers: list[Object]) -> dict[str, str]:
    """With the names that others will look for. What only the injector may say is left out."""
    found = {name: text for name, text in annotations.items() if name != TRANSPARENT_PROXY_STATUS}
    if not found.get(CONNECT_SERVICE, "").strip():
        found[CONNECT_SERVICE] = containers[0]["name"]
    if not found.get(CONNECT_SERVICE_PORT, "").strip():
        first = next(ports_of(containers), None)
        if first is not None:
            found[CONNECT_SERVICE_PORT] = first.get("name") or str(first["containerPort"])
    found.setdefault(DEFAULT_CONTAINER, containers[0]["name"])
    return found


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


def _own_ports(wishes: Wishes) -> Iterator[OwnPort]:
    yield INBOUND_PORT, "connections from the mesh"
    yield STATUS_PORT, "its probes"
    yield ADMIN_PORT, "Envoy's administration"
    if wishes.redirection.by is not Redirector.NOBODY:
        yield OUTBOUND_PORT, "redirected connections"
    if wishes.metrics.enabled:
        yield wishes.metrics.scrape_port, "Prometheus"
    if wishes.metrics.merged_port:
        yield wishes.metrics.merged_port, "merged metrics"
    for upstream in wishes.upstreams:
        yield upstream.local_bind_port, f'upstream "{upstream.name}"'
