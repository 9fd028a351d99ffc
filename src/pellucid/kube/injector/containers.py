"""The containers that a pod gets: the sidecar, and the init container that redirects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.kube.annotations import (
    PROXY_CPU_LIMIT,
    PROXY_CPU_REQUEST,
    PROXY_MEMORY_LIMIT,
    PROXY_MEMORY_REQUEST,
)
from pellucid.kube.injector.envoy_arguments import envoy_arguments
from pellucid.kube.injector.lifecycle import Lifecycle
from pellucid.kube.injector.quantities import checked_quantity
from pellucid.kube.injector.redirection import Redirection
from pellucid.kube.injector.settings import (
    DATA_VOLUME,
    TOKEN_DIRECTORY,
    TOKEN_VOLUME,
    InjectorSettings,
)
from pellucid.kube.injector.user_volumes import user_mounts
from pellucid.kube.injector.wishes import Wishes
from pellucid.kube.pods import DATA_DIRECTORY, INIT_CONTAINER, SIDECAR_CONTAINER
from pellucid.kube.probe_targets import ProbeTarget
from pellucid.kube.sidecar_ports import INBOUND_PORT, STATUS_PORT

Container = dict[str, Any]

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
_READINESS_PERIOD_S, _LIVENESS_PERIOD_S = 5, 10
_PROBE_TIMEOUT_S = 5
"""Where many pods start at once, late is not unready: the whole mesh would be told of each that is."""
_LAST_WORDS = "FallbackToLogsOnError"
"""`kubectl describe` shows why a container ended."""


def volumes(settings: InjectorSettings) -> list[dict[str, Any]]:
    """Where the sidecar keeps its files, in memory, and the token by which the pod proves itself."""
    token = {"audience": settings.token_audience, "expirationSeconds": 3600, "path": "token"}
    return [
        {"name": DATA_VOLUME, "emptyDir": {"medium": "Memory"}},
        {"name": TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}},
    ]


def sidecar(wishes: Wishes, targets: Sequence[ProbeTarget], settings: InjectorSettings) -> Container:
    """The container that runs Envoy. Raises InvalidAnnotationError."""
    annotations = wishes.annotations
    container: Container = {
        "name": SIDECAR_CONTAINER,
        "image": settings.image,
        "terminationMessagePolicy": _LAST_WORDS,
        "command": [
            "pellucid",
            "k8s",
            "sidecar",
            f"-token-file={TOKEN_DIRECTORY}/token",
            f"-status-port={STATUS_PORT}",
            f"-drain-seconds={wishes.lifecycle.drain_s}",
            *([f"-ends-after-seconds={wishes.ends_after_s}"] if wishes.ends_after_s else []),
            *wishes.metrics.sidecar_flags(),
            *envoy_arguments(annotations, settings),
            *(f"-probe={target}" for target in targets),
        ],
        "env": _environment(settings),
        "volumeMounts": [*_mounts(), *user_mounts(annotations)],
        "securityContext": _unprivileged(wishes.redirection),
        **_probes(wishes.redirection, wishes.lifecycle),
    }
    if resources := _resources(annotations, settings):
        container["resources"] = resources
    if wishes.native:
        container["restartPolicy"] = "Always"
    else:
        # The kubelet starts the application, which comes next, once this is done.
        container["lifecycle"] = {"postStart": {"exec": {"command": ["pellucid", "k8s", "sidecar-ready"]}}}
    return container


def init_container(wishes: Wishes, exclusions: Sequence[str], settings: InjectorSettings) -> Container:
    """The container that redirects; in the layout without native sidecars it waits for the registration."""
    redirection, redirects = wishes.redirection, wishes.is_redirected_by_us
    container: Container = {
        "name": INIT_CONTAINER,
        "image": settings.image,
        "terminationMessagePolicy": _LAST_WORDS,
        "command": [
            "pellucid",
            "k8s",
            "connect-init",
            *([f"-proxy-uid={redirection.user}", *exclusions] if redirects else []),
            *([] if wishes.native else ["-wait"]),
        ],
        "env": _environment(settings),
        "volumeMounts": _mounts(),
        "securityContext": _redirecting() if redirects else _unprivileged(redirection),
    }
    if settings.init_resources:
        container["resources"] = {kind: dict(each) for kind, each in settings.init_resources.items()}
    return container


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
        {"name": DATA_VOLUME, "mountPath": DATA_DIRECTORY},
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


def _probes(redirection: Redirection, lifecycle: Lifecycle) -> dict[str, Any]:
    ready = _asked("/ready", redirection)
    probes = {
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": lifecycle.startup_failure_s},
        "readinessProbe": {**ready, "periodSeconds": _READINESS_PERIOD_S, "failureThreshold": 2},
    }
    if lifecycle.liveness_failure_s:
        tries = max(1, lifecycle.liveness_failure_s // _LIVENESS_PERIOD_S)
        probes["livenessProbe"] = {
            **_asked("/healthz", redirection),
            "periodSeconds": _LIVENESS_PERIOD_S,
            "failureThreshold": tries,
        }
    return probes


def _asked(path: str, redirection: Redirection) -> dict[str, Any]:
    """Beside rules of the author's, everything that arrives lands at the inbound port, probes too.

    That Envoy listens there says that it has its configuration.
    """
    if redirection.author_captures(STATUS_PORT):
        return {"tcpSocket": {"port": INBOUND_PORT}, "timeoutSeconds": _PROBE_TIMEOUT_S}
    return {"httpGet": {"port": STATUS_PORT, "path": path}, "timeoutSeconds": _PROBE_TIMEOUT_S}


def _resources(annotations: Mapping[str, str], settings: InjectorSettings) -> dict[str, dict[str, str]]:
    found = {kind: dict(each) for kind, each in settings.sidecar_resources.items()}
    for (kind, name), annotation in _RESOURCE_ANNOTATIONS.items():
        if (text := annotations.get(annotation)) is not None:
            found.setdefault(kind, {})[name] = checked_quantity(f"annotation {annotation}", text)
    return found
