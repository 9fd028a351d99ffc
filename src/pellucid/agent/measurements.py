"""What the agent measures of itself, as Consul's JSON and in Prometheus' format.

Source: Consul 1.10 docs, "View Metrics - Agent HTTP API".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from pellucid.derive.engine import Engine
from pellucid.state.log import Log
from pellucid.xds.server import AdsServer


class Measurements:
    """Reads the counters that the rooms keep. Implements the API's `Metrics` and Prometheus' collector."""

    def __init__(self, log: Log, engine: Engine, ads: AdsServer, prefix: str = "consul") -> None:
        self._log, self._engine, self._ads, self._prefix = log, engine, ads, prefix
        self._registry = CollectorRegistry(auto_describe=True)
        self._registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def summary(self) -> Mapping[str, Any]:
        """The counters as `GET /v1/agent/metrics` shows them."""
        return {
            "Timestamp": time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime()),
            "Gauges": [
                {"Name": f"{self._prefix}.{name}", "Value": value, "Labels": {}}
                for name, value in self._gauges().items()
            ],
            "Points": [],
            "Counters": [
                {
                    "Name": f"{self._prefix}.{name}",
                    "Count": value,
                    "Rate": 0,
                    "Sum": value,
                    "Min": 0,
                    "Max": value,
                    "Mean": 0,
                    "Stddev": 0,
                    "Labels": {},
                }
                for name, value in self._counters().items()
            ],
            "Samples": [],
        }

    def exposition(self) -> bytes:
        """The same, and the process' own, in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """Called by the registry."""
        yield from self._families(self._gauges(), GaugeMetricFamily)
        yield from self._families(self._counters(), CounterMetricFamily)

    def _families(self, values: Mapping[str, float], family: Callable[..., Metric]) -> Iterable[Metric]:
        for name, value in values.items():
            metric_name = f"{self._prefix}_{name}".replace(".", "_")
            yield family(metric_name, name.replace(".", " "), value=value)

    def _gauges(self) -> dict[str, float]:
        return {
            "state.revision": self._log.revision,
            "xds.server.streams": len(self._ads.connected()),
        }

    def _counters(self) -> dict[str, float]:
        counts, sent = self._engine.counts, self._ads.statistics
        return {
            "derive.evaluated": counts.evaluated,
            "derive.cut_off": counts.cut_off,
            "derive.verified": counts.verified,
            "xds.server.built": self._ads.resources_built,
            "xds.server.responses": sent.responses,
            "xds.server.resources": sent.resources,
            "xds.server.bytes": sent.bytes,
            "xds.server.acks": sent.acks,
            "xds.server.nacks": sent.nacks,
        }
