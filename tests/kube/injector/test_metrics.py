"""Where a pod's counters are scraped."""

from __future__ import annotations

import pytest

from pellucid.kube.injector.settings import MetricsDefaults
from tests.kube.injector.pods import PREFIX, container, flags, inject, pod, refusal

ON = {"enable-metrics": "true"}
MERGED = {**ON, "enable-metrics-merging": "true"}


def told(annotations: dict[str, str]) -> list[str]:
    """What the sidecar is told about metrics."""
    return [flag for flag in flags(inject(pod(annotations))) if "metrics" in flag]


def test_without_metrics_nothing_is_said_of_them() -> None:
    changed = inject(pod())
    assert not [flag for flag in flags(changed) if "metrics" in flag or "prometheus" in flag]
    assert not [name for name in changed["metadata"]["annotations"] if name.startswith("prometheus.io/")]


def test_prometheus_is_told_where_to_look_and_gets_there() -> None:
    changed = inject(pod({**ON, "prometheus-scrape-port": "20999", "prometheus-scrape-path": "/counters"}))
    texts = changed["metadata"]["annotations"]
    assert {name: text for name, text in texts.items() if name.startswith("prometheus.io/")} == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "20999",
        "prometheus.io/path": "/counters",
    }
    assert "-prometheus-bind-addr=0.0.0.0:20999" in flags(changed)
    assert "-prometheus-scrape-path=/counters" in flags(changed)
    assert "-exclude-inbound-port=20999" in flags(changed, "consul-connect-inject-init")


def test_the_defaults_are_the_injectors() -> None:
    defaults = MetricsDefaults(True, True, merged_port=20111, scrape_port=20222, scrape_path="/m")
    changed = inject(pod(), metrics=defaults)
    assert flags(changed)[3:] == [
        "-prometheus-bind-addr=0.0.0.0:20222",
        "-prometheus-scrape-path=/m",
        "-merged-metrics-port=20111",
        "-service-metrics-port=8080",
        "-service-metrics-path=/metrics",
    ]
    off = pod({"enable-metrics": "false"})
    assert not [flag for flag in flags(inject(off, metrics=defaults)) if "metrics" in flag]


def test_the_applications_counters_are_put_beside_envoys() -> None:
    annotations = {**MERGED, "service-metrics-port": "9102", "service-metrics-path": "/app"}
    assert told({**annotations, "merged-metrics-port": "20101"}) == [
        "-prometheus-scrape-path=/metrics",
        "-merged-metrics-port=20101",
        "-service-metrics-port=9102",
        "-service-metrics-path=/app",
    ]


def test_the_services_port_is_where_they_are_by_default() -> None:
    assert "-service-metrics-port=9000" in told({**MERGED, "connect-service-port": "9000"})


@pytest.mark.parametrize("annotations", [ON, {**MERGED, "service-metrics-port": "0"}])
def test_nothing_is_merged_unless_asked_and_possible(annotations: dict[str, str]) -> None:
    assert told(annotations) == ["-prometheus-scrape-path=/metrics"]


def test_an_application_without_ports_has_nothing_to_merge() -> None:
    author = pod(MERGED, containers=[container(ports=[])])
    assert not [flag for flag in flags(inject(author)) if flag.startswith("-merged")]


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        (
            {"enable-metrics": "on"},
            'enable-metrics annotation value of on was invalid: strconv.ParseBool: parsing "on": invalid ',
        ),
        (
            {**ON, "enable-metrics-merging": ""},
            'enable-metrics-merging annotation value of  was invalid: strconv.ParseBool: parsing ""',
        ),
        (
            {**MERGED, "merged-metrics-port": "80"},
            "merged-metrics-port annotation value of 80 is not in the unprivileged port range 1024-65535",
        ),
        (
            {**ON, "prometheus-scrape-port": "many"},
            "prometheus-scrape-port annotation value of many is not a valid integer",
        ),
        (
            {**MERGED, "service-metrics-port": "65536"},
            "service-metrics-port annotation value of 65536 is not in the valid port range 1-65535",
        ),
        (
            {**ON, "prometheus-scrape-path": "metrics"},
            "prometheus-scrape-path annotation value of metrics must begin with a '/'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(annotations: dict[str, str], problem: str) -> None:
    assert refusal(pod(annotations)).startswith(PREFIX + problem)
