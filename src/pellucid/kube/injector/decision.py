"""Whether a pod gets a sidecar: the rules, in the order in which they are asked.

Source: consul-k8s 0.26, connect-inject/handler.go.
"""

from __future__ import annotations

from pellucid.kube.annotations import (
    CONNECT_INJECT,
    CONNECT_INJECT_STATUS,
    CONNECT_SERVICE_PROTOCOL,
    CONNECT_SYNC_PERIOD,
    InvalidAnnotationError,
    complaining,
    parse_boolean,
)
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.pods import Object

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public"})

_REMOVED = {
    CONNECT_SERVICE_PROTOCOL: (
        f'the "{CONNECT_SERVICE_PROTOCOL}" annotation is no longer supported. Instead, create a '
        "ServiceDefaults resource (see www.consul.io/docs/k8s/crds/upgrade-to-crds)"
    ),
    CONNECT_SYNC_PERIOD: (
        f'the "{CONNECT_SYNC_PERIOD}" annotation is no longer supported because consul-sidecar is no longer '
        "injected to periodically register services"
    ),
}


def wants_sidecar(pod: Object, namespace: str, settings: InjectorSettings) -> bool:
    """Raises InvalidAnnotationError for annotations that mean nothing, on pods without a sidecar too."""
    annotations = pod["metadata"].get("annotations") or {}
    for name, message in _REMOVED.items():
        if name in annotations:
            raise InvalidAnnotationError(message)
    if namespace in SYSTEM_NAMESPACES or namespace in settings.deny_namespaces:
        return False
    if not settings.allow_namespaces & {"*", namespace}:
        return False
    if annotations.get(CONNECT_INJECT_STATUS):
        return False
    asked = annotations.get(CONNECT_INJECT)
    if asked is None:
        return settings.inject_by_default
    with complaining("error checking if should inject"):
        return parse_boolean(CONNECT_INJECT, asked)
