"""The containers that a pod gets: the sidecar, and the init container that redirects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.kube.annotations import (
    ENVOY_EXTRA_ARGS,
    PROXY_CPU_LIMIT,
    PROXY_CPU_REQUEST,
    PROXY_MEMORY_LIMIT,
    PROXY_MEMORY_REQUEST,
    PROXY_SHUTDOWN_GRACE,
    InvalidAnnotationError,
    parse_integer,
)
from pellucid.kube.injector.metrics import PodMetrics
from pellucid.kube.injector.quantities import checked_quantity
from pellucid.kube.injector.redirection import Redirection, Redirector
from pellucid.kube.injector.settings import (
    DATA_VOLUME,
    STATUS_PORT,
    TOKEN_DIRECTORY,
    TOKEN_VOLUME,
    InjectorSettings,
)
from pellucid.kube.pods import INIT_CONTAINER, SIDECAR_CONTAINER

Container = dict[str, Any]

_INBOUND_PORT = 20000
_FROM_THE_POD = {
    "POD_NAME": "metadata.name",
    "POD_NAMESPACE": "metadata.namespace",
    "POD_UID": "metadata.uid",
    "POD_IP": "status.podIP",
    "NODE_NAME": "spec.nodeName",
    "HOST_IP": "status.hostIP",
}
_RESOURCE_ANNOTATIONS = {
    ("limits", "cpu"): PROXY_CPU_LIMIT,
    ("requests", "cpu"): PROXY_CPU_REQUEST,
    ("limits", "memory"): PROXY_MEMORY_LIMIT,
    ("requests", "memory"): PROXY_MEMORY_REQUEST,
}
_STARTUP_TRIES = 3600


def volumes(settings: InjectorSettings) -> list[dict[str, Any]]:
    """Where the sidecar keeps its files, in memory, and the token by which the pod proves itself."""
    token = {"audience": settings.token_audience, "expirationSeconds": 3600, "path": "token"}
    return [
        {"name": DATA_VOLUME, "emptyDir": {"medium": "Memory"}},
        {"name": TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}},
    ]


def sidecar(
    annotations: Mapping[str, str],
    redirection: Redirection,
    metrics: PodMetrics,
    settings: InjectorSettings,
    *,
    native: bool,
) -> Container:
    """The container that runs Envoy. Raises InvalidAnnotationError."""
    probe = _probe(redirection)
    container: Container = {
        "name": SIDECAR_CONTAINER,
        "image": settings.image,
        "command": ["pellucid", "k8s", "sidecar", *_flags(annotations, metrics, settings)],
        "env": _environment(settings),
        "volumeMounts": _mounts(),
        "securityContext": _unprivileged(redirection),
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": _STARTUP_TRIES},
        "readinessProbe": {**probe, "periodSeconds": 2, "failureThreshold": 2},
    }
    if resources := _resources(annotations, settings):
        container["resources"] = resources
    if native:
        container["restartPolicy"] = "Always"
    return container


def init_container(
    redirection: Redirection, exclusions: Sequence[str], settings: InjectorSettings, *, waits: bool
) -> Container:
    """The container that redirects; in the layout without native sidecars it waits for the registration."""
    redirects = redirection.by is Redirector.US
    container: Container = {
        "name": INIT_CONTAINER,
        "image": settings.image,
        "command": [
            "pellucid",
            "k8s",
            "connect-init",
            *([f"-proxy-uid={redirection.user}", *exclusions] if redirects else []),
            *(["-wait"] if waits else []),
        ],
        "env": _environment(settings),
        "volumeMounts": _mounts(),
        "securityContext": _redirecting() if redirects else _unprivileged(redirection),
    }
    if settings.init_resources:
        container["resources"] = {kind: dict(each) for kind, each in settings.init_resources.items()}
    return container


def _flags(annotations: Mapping[str, str], metrics: PodMetrics, settings: InjectorSettings) -> list[str]:
    flags = [f"-token-file={TOKEN_DIRECTORY}/token", f"-status-port={STATUS_PORT}", *metrics.sidecar_flags()]
    if further := annotations.get(ENVOY_EXTRA_ARGS) or settings.envoy_extra_args:
        flags.append(f"-envoy-extra-args={further}")
    if grace := annotations.get(PROXY_SHUTDOWN_GRACE):
        if parse_integer(grace) is None:
            raise InvalidAnnotationError(
                f"{PROXY_SHUTDOWN_GRACE} annotation value of {grace} is not a valid integer"
            )
        flags.append(f"-drain-seconds={grace}")
    return flags


def _environment(settings: InjectorSettings) -> list[dict[str, Any]]:
    own = {
        "CONSUL_HTTP_ADDR": settings.http_address,
        "CONSUL_GRPC_ADDR": settings.grpc_address,
        "PELLUCID_SERVER_CA": settings.server_authority,
    }
    return [
        *(
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in _FROM_THE_POD.items()
        ),
        *({"name": name, "value": value} for name, value in own.items()),
    ]


def _mounts() -> list[dict[str, Any]]:
    return [
        {"name": DATA_VOLUME, "mountPath": "/consul/connect-inject"},
        {"name": TOKEN_VOLUME, "mountPath": TOKEN_DIRECTORY, "readOnly": True},
    ]


def _unprivileged(redirection: Redirection) -> dict[str, Any]:
    return {
        "runAsUser": redirection.user,
        "runAsGroup": redirection.group,
        "runAsNonRoot": redirection.user != 0,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def _redirecting() -> dict[str, Any]:
    return {
        "runAsUser": 0,
        "runAsGroup": 0,
        "runAsNonRoot": False,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    }


def _probe(redirection: Redirection) -> dict[str, Any]:
    """Beside rules of the author's, everything that arrives lands at the inbound port, probes too.

    That Envoy listens there says that it has its configuration.
    """
    if redirection.by is Redirector.AUTHOR:
        return {"tcpSocket": {"port": _INBOUND_PORT}}
    return {"httpGet": {"port": STATUS_PORT, "path": "/ready"}}


def _resources(annotations: Mapping[str, str], settings: InjectorSettings) -> dict[str, dict[str, str]]:
    found = {kind: dict(each) for kind, each in settings.sidecar_resources.items()}
    for (kind, name), annotation in _RESOURCE_ANNOTATIONS.items():
        if text := annotations.get(annotation):
            found.setdefault(kind, {})[name] = checked_quantity(annotation, text)
    return found
