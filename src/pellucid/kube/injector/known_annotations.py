"""Every annotation of `consul.hashicorp.com/` that there is, so that a misspelt one does not pass in silence.

Source: Consul on Kubernetes 0.26 and 1.x docs, "Annotations and Labels".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from pellucid.kube import annotations as names
from pellucid.kube.annotations import PREFIX, SERVICE_META_PREFIX

WITHOUT_EFFECT = {
    PREFIX + name: reason
    for reason, group in {
        "namespaces are a feature of Consul Enterprise": ("consul-namespace",),
        "the application needs no file of the sidecar's": ("connect-inject-mount-volume",),
        "names of the mesh are Kubernetes' own": ("consul-dns",),
        "redirected connections go to port 15001": ("transparent-proxy-outbound-listener-port",),
        "the sidecar answers at port 21000, and nothing has to call it": (
            "use-proxy-health-check",
            "sidecar-proxy-lifecycle-startup-grace-period-seconds",
            "sidecar-proxy-lifecycle-graceful-port",
            "sidecar-proxy-lifecycle-graceful-shutdown-path",
            "sidecar-proxy-lifecycle-graceful-startup-path",
        ),
        "set it in proxy-defaults or service-defaults": ("proxy-config-map",),
        "metrics are scraped in plain": (
            "prometheus-ca-file",
            "prometheus-ca-path",
            "prometheus-cert-file",
            "prometheus-key-file",
        ),
        "it is for Consul's CNI plugin": ("redirect-traffic-config",),
        "gateways are not injected": (
            "gateway-kind",
            "gateway-consul-service-name",
            "gateway-wan-address-source",
            "gateway-wan-address-static",
            "gateway-wan-port",
            "mesh-gateway-container-port",
        ),
    }.items()
    for name in group
}
"""Annotations of Consul's that do nothing here, and why."""

OF_PODS = frozenset(
    text
    for name, text in vars(names).items()
    if name.isupper() and isinstance(text, str) and text.startswith(PREFIX)
) - {PREFIX, SERVICE_META_PREFIX, *WITHOUT_EFFECT}
"""Annotations that mean something on a pod, or are written there."""
_BARE_NAMES = [name.removeprefix(PREFIX) for name in sorted(OF_PODS)]
_ALIKE = 0.75
_ELSEWHERE = frozenset(PREFIX + name for name in ("consul-k8s-version", "config-checksum", "component"))


def advice_on_names(annotations: Mapping[str, str]) -> Iterator[str]:
    """What is misspelt, with the nearest name, and what has no effect, with the reason."""
    for name in annotations:
        if name in WITHOUT_EFFECT:
            yield f"{name} has no effect: {WITHOUT_EFFECT[name]}"
        elif name.startswith(PREFIX) and not _is_known(name):
            near = get_close_matches(name.removeprefix(PREFIX), _BARE_NAMES, n=1, cutoff=_ALIKE)
            yield f"there is no annotation {name}" + (f"; did you mean {PREFIX}{near[0]}?" if near else "")


def _is_known(name: str) -> bool:
    return name in OF_PODS or name in _ELSEWHERE or name.startswith(SERVICE_META_PREFIX)
