"""What the injector is told when it starts: where the mesh is, and what holds for pods that do not say."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pellucid.kube.sidecar_ports import MERGED_METRICS_PORT, SCRAPE_PORT

PROXY_ID = 5995
"""The user and group of sidecars, whose traffic is not redirected. Source: consul-k8s 0.26."""
DATA_VOLUME = "consul-connect-inject-data"
TOKEN_VOLUME = "consul-connect-inject-token"  # noqa: S105 - a volume's name
TOKEN_DIRECTORY = "/var/run/secrets/pellucid"  # noqa: S105 - a path


class MetricsDefaults(msgspec.Struct, frozen=True):
    """Where counters are scraped, for pods that do not say."""

    enabled: bool = False
    merging: bool = False
    merged_port: int = MERGED_METRICS_PORT
    scrape_port: int = SCRAPE_PORT
    scrape_path: str = "/metrics"


class LifecycleDefaults(msgspec.Struct, frozen=True):
    """How sidecars start and end, for pods that do not say; all in seconds.

    drain_s: how long open connections may last when the pod ends; startup_failure_s: after this long without
    being ready a sidecar is started anew; liveness_failure_s: likewise when it does not answer, 0 never.
    """

    drain_s: int = 10
    startup_failure_s: int = 3600
    liveness_failure_s: int = 0


class InjectorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One injector's settings.

    native_sidecars: whether init containers may stay; hooks_may_sleep: whether a hook may just sleep.
    server_authority: PEM text of what sidecars trust the server by, as it is now. sidecar_resources,
    init_resources: quantities by `requests`/`limits`, then `cpu`/`memory`.
    """

    image: str
    http_address: str
    grpc_address: str
    server_authority: str
    token_audience: str
    inject_by_default: bool = False
    transparent_by_default: bool = True
    overwrite_probes: bool = True
    native_sidecars: bool = True
    hooks_may_sleep: bool = True
    allow_namespaces: frozenset[str] = frozenset({"*"})
    deny_namespaces: frozenset[str] = frozenset()
    envoy_extra_args: str = ""
    metrics: MetricsDefaults = MetricsDefaults()
    lifecycle: LifecycleDefaults = LifecycleDefaults()
    sidecar_resources: Mapping[str, Mapping[str, str]] = {}
    init_resources: Mapping[str, Mapping[str, str]] = {}
