"""What is measured, by name, in the order it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bench.figures import Figure
from bench.plan import Plan
from bench.scenarios import (
    cli,
    data_path,
    dns,
    fan_out,
    first_configuration,
    http_reads,
    injected_pods,
    intention_effect,
    kubernetes,
    local_cluster,
    registrations,
)

Scenario = Callable[[Plan], Iterator[Figure]]

SCENARIOS: Mapping[str, Scenario] = {
    "cli": cli.measure,
    "registrations": registrations.measure,
    "http": http_reads.measure,
    "dns": dns.measure,
    "start": first_configuration.measure,
    "fan-out": fan_out.measure,
    "data-path": data_path.measure,
    "effect": intention_effect.measure,
    "cluster": local_cluster.measure,
    "kubernetes": kubernetes.measure,
    "injected-pods": injected_pods.measure,
}
