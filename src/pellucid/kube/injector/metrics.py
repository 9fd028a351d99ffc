"""Where a pod's counters are scraped: the annotations, and what the sidecar is told."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pellucid.kube.annotations import (
    CONNECT_SERVICE_PORT,
    ENABLE_METRICS,
    ENABLE_METRICS_MERGING,
    LOWEST_UNPRIVILEGED_PORT,
    MERGED_METRICS_PORT,
    PROMETHEUS_SCRAPE_PATH,
    PROMETHEUS_SCRAPE_PORT,
    SERVICE_METRICS_PATH,
    SERVICE_METRICS_PORT,
    InvalidAnnotationError,
    complaining,
    parse_boolean,
    parse_port_number,
    resolve_port,
)
from pellucid.kube.injector.settings import MetricsDefaults
from pellucid.kube.sidecar_ports import SCRAPE_PORT


class PodMetrics(msgspec.Struct, frozen=True):
    """enabled: Envoy's counters are scraped; merged_port: 0 unless the application's are put beside them."""

    enabled: bool = False
    scrape_port: int = SCRAPE_PORT
    scrape_path: str = "/metrics"
    merged_port: int = 0
    application_port: int = 0
    application_path: str = "/metrics"

    def sidecar_flags(self) -> list[str]:
        """As `k8s sidecar` takes them."""
        if not self.enabled:
            return []
        flags = [
            f"-prometheus-bind-addr=0.0.0.0:{self.scrape_port}",
            f"-prometheus-scrape-path={self.scrape_path}",
        ]
        if self.merged_port:
            flags += [
                f"-merged-metrics-port={self.merged_port}",
                f"-service-metrics-port={self.application_port}",
                f"-service-metrics-path={self.application_path}",
            ]
        return flags

    def pod_annotations(self) -> dict[str, str]:
        """What tells Prometheus to scrape the pod."""
        if not self.enabled:
            return {}
        return {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(self.scrape_port),
            "prometheus.io/path": self.scrape_path,
        }


def metrics_of(
    annotations: Mapping[str, str], named_ports: Mapping[str, int], defaults: MetricsDefaults
) -> PodMetrics:
    """Raises InvalidAnnotationError."""
    if not _switch(annotations, ENABLE_METRICS, default=defaults.enabled):
        return PodMetrics()
    scrape_port = _port(annotations, PROMETHEUS_SCRAPE_PORT, defaults.scrape_port)
    path = _path(annotations, PROMETHEUS_SCRAPE_PATH, defaults.scrape_path)
    merging = _switch(annotations, ENABLE_METRICS_MERGING, default=defaults.merging)
    application_port = _application_port(annotations, named_ports) if merging else 0
    if not application_port:
        return PodMetrics(True, scrape_port, path)
    return PodMetrics(
        True,
        scrape_port,
        path,
        _port(annotations, MERGED_METRICS_PORT, defaults.merged_port),
        application_port,
        _path(annotations, SERVICE_METRICS_PATH, "/metrics"),
    )


def _switch(annotations: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = annotations.get(name)
    if text is None:
        return default
    with complaining(f"{name} annotation value of {text} was invalid"):
        return parse_boolean(name, text)


def _port(annotations: Mapping[str, str], name: str, default: int) -> int:
    text = annotations.get(name)
    return default if text is None else parse_port_number(name, text, LOWEST_UNPRIVILEGED_PORT)


def _path(annotations: Mapping[str, str], name: str, default: str) -> str:
    text = annotations.get(name, default)
    if not text.startswith("/"):
        raise InvalidAnnotationError(f"{name} annotation value of {text} must begin with a '/'")
    return text


def _application_port(annotations: Mapping[str, str], named_ports: Mapping[str, int]) -> int:
    """0 when merging has nothing to merge."""
    text = annotations.get(SERVICE_METRICS_PORT)
    if text is not None:
        return 0 if text.strip() == "0" else parse_port_number(SERVICE_METRICS_PORT, text)
    return resolve_port(annotations.get(CONNECT_SERVICE_PORT, ""), named_ports) or 0
