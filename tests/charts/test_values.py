"""What may be given to the chart: everything that consul-helm takes, and of each it is known what it does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helm_python import HelmRenderError, HelmValuesError, lint

from tests.charts.chart import CHART, leaves, read_yaml, render

VALUES: dict[str, Any] = read_yaml(CHART / "values.yaml")
INAPPLICABLE: dict[str, str] = read_yaml(CHART / "files" / "inapplicable.yaml")
DOCS = (Path(__file__).parents[2] / "docs" / "helm-values.md").read_text()

EVERYTHING = {
    "connectInject.enabled": True,
    "controller.enabled": True,
    "ui.ingress.enabled": True,
    "ui.ingress.hosts": [{"host": "mesh.example"}],
}
ALONE = ("server.enabled", "global.enabled", *EVERYTHING)
"""These are tried against the defaults: they switch off what others need, or are on already."""
WITH_TLS = {"global.tls.enabled": True}
CONTEXT = {
    "global.tls.httpsOnly": WITH_TLS,
    "ui.service.nodePort.https": WITH_TLS,
    "global.metrics.agentMetricsRetentionTime": {"global.metrics.enableAgentMetrics": True},
    "ui.ingress.hosts": {"ui.ingress.enabled": True},
}
"""What has to be set as well, for a value to matter."""

SAMPLES: dict[str, Any] = {
    "global.chartVersion": "0.31.0",
    "global.image": "hashicorp/consul:1.10.0-alpha",
    "global.imagePullSecrets": [{"name": "registry"}],
    "connectInject.failurePolicy": "Ignore",
    "connectInject.nativeSidecars": "false",
    "connectInject.k8sAllowNamespaces": ["shop"],
    "connectInject.k8sDenyNamespaces": ["shop"],
    "connectInject.logLevel": "debug",
    "connectInject.transparentProxy.defaultEnabled": False,
    "connectInject.metrics.defaultEnabled": True,
    "connectInject.namespaceSelector": "matchLabels: {mesh: on}",
    "controller.logLevel": "debug",
    "dns.type": "NodePort",
    "dns.clusterIP": "10.0.0.53",
    "dns.additionalSpec": "publishNotReadyAddresses: true",
    "ui.service.type": "NodePort",
    "ui.service.additionalSpec": "publishNotReadyAddresses: true",
    "ui.ingress.hosts": [{"host": "other.example", "paths": ["/ui"]}],
    "ui.ingress.tls": [{"secretName": "tls", "hosts": ["mesh.example"]}],
    "server.extraVolumes": [{"type": "configMap", "name": "more", "load": True}],
    "server.extraConfig": '{"log_level": "debug"}',
    "server.extraEnvironmentVars": {"A": "b"},
    "server.extraLabels": {"team": "mesh"},
    "server.enabled": True,
    "server.storage": "7Gi",
    "server.replicas": 2,
    "server.disruptionBudget.maxUnavailable": 0,
}
BY_KEY: dict[str, Any] = {
    "annotations": '"example.com/team": mesh',
    "nodeSelector": "disk: fast",
    "tolerations": "- {key: mesh, operator: Exists}",
    "affinity": "nodeAffinity: {}",
    "topologySpreadConstraints": "- {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}",
    "http": 30080,
    "https": 30443,
    "memory": "77Mi",
    "cpu": "77m",
}
SAME_AS_DEFAULT = ("server.enabled", "dns.enabled", "ui.enabled")
"""Their default follows `global.enabled`; what matters is turning them off."""


def is_inapplicable(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}.") for each in INAPPLICABLE)


def sample(path: str, default: object) -> object:
    """A value that is not the default."""
    if path in SAME_AS_DEFAULT:
        return False
    if path in SAMPLES:
        return SAMPLES[path]
    key = path.rpartition(".")[2]
    if key in BY_KEY:
        return BY_KEY[key]
    match default:
        case bool():
            return not default
        case int():
            return default + 1
        case list():
            return ["changed"]
    return "changed"


REFUSED = ("global.enableConsulNamespaces",)
APPLICABLE = [
    (path, value) for path, value in leaves(VALUES) if not is_inapplicable(path) and path not in REFUSED
]


@pytest.mark.parametrize(("path", "default"), APPLICABLE, ids=[path for path, _ in APPLICABLE])
def test_every_value_that_is_not_listed_as_without_effect_has_one(path: str, default: object) -> None:
    context = CONTEXT.get(path, {}) if path in ALONE else {**EVERYTHING, **CONTEXT.get(path, {})}
    before, after = render(context), render(context, {path: sample(path, default)})
    assert before != after


def test_values_without_effect_are_named_once_they_are_set_and_only_then() -> None:
    assert "without effect" not in render().notes
    notes = render({"prometheus.enabled": True, "server.ports.serflan.port": 9301}).notes
    assert "Set, and without effect here:" in notes
    assert re.findall(r"^  ([\w.]+): ", notes, re.MULTILINE) == ["prometheus", "server.ports"]


def test_the_known_keys_are_those_of_the_defaults() -> None:
    assert (CHART / "files" / "known-values.yaml").read_text() == (CHART / "values.yaml").read_text()
    paths = [path for path, _ in leaves(VALUES)]
    for key in INAPPLICABLE:
        assert any(path == key or path.startswith(f"{key}.") for path in paths), key


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("server.replica", "server.replicas"),
        ("connectInjct", "connectInject"),
        ("global.datacentre", "global.datacenter"),
        ("connectInject.transparentproxy", "connectInject.transparentProxy"),
        ("ui.servce", "ui.service"),
        ("connectInject.metrics.defaultEnable", "connectInject.metrics.defaultEnabled"),
    ],
)
def test_an_unknown_value_is_refused_with_the_nearest_name(given: str, nearest: str) -> None:
    with pytest.raises(HelmRenderError, match=f'unknown value "{given}": did you mean "{nearest}"?'):
        render({given: True})


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"server.bootstrapExpect": 1, "server.replicas": 3},
            "server.bootstrapExpect cannot be less than server.replicas",
        ),
        (
            {"connectInject.enabled": True, "client.enabled": False},
            "clients must be enabled for connect injection",
        ),
        (
            {"connectInject.enabled": True, "client.grpc": False},
            "client.grpc must be true for connect injection",
        ),
        (
            {"externalServers.enabled": True},
            "only one of server.enabled or externalServers.enabled can be set",
        ),
        (
            {"externalServers.enabled": True, "server.enabled": False},
            "externalServers.hosts must be set if externalServers.enabled is true",
        ),
        ({"global.federation.enabled": True}, "federation is only supported with TLS enabled"),
        (
            {"global.federation.enabled": True, **WITH_TLS},
            "meshGateway.enabled must be true because mesh gateways are required for federation",
        ),
        (
            {"global.metrics.enabled": True, "global.metrics.enableAgentMetrics": True, **WITH_TLS},
            "global.metrics.enableAgentMetrics cannot be enabled if TLS (HTTPS only) is enabled",
        ),
        (
            {"global.bootstrapACLs": True},
            "global.bootstrapACLs was removed, use global.acls.manageSystemACLs instead",
        ),
        (
            {"connectInject.consulNamespaces.mirroringK8S": True},
            "global.enableConsulNamespaces must be true if mirroringK8S=true",
        ),
        (
            {"connectInject.enabled": True, "connectInject.imageEnvoy": "envoy"},
            "connectInject.imageEnvoy must be specified in global.imageEnvoy",
        ),
        ({"global.acls.manageSystemACLs": True}, "nobody would enforce them"),
        ({"global.enableConsulNamespaces": True}, "there are no Consul namespaces"),
        ({"global.tls.caCert.secretName": "ca"}, "the server makes an authority of its own"),
    ],
)
def test_what_cannot_be_done_or_must_not_be_ignored_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(HelmRenderError, match=re.escape(text)):
        render(values)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("server.replicas", "three"),
        ("connectInject.failurePolicy", "Maybe"),
        ("server", True),
        ("ui.service.type", "Node"),
        ("connectInject.metrics.defaultMergedMetricsPort", 70_000),
        ("global.name", "My_Mesh"),
        ("global.datacenter", "My DC"),
        ("server.storage", "10Gb"),
        ("server.resources.requests.memory", "much"),
        ("connectInject.sidecarProxy.resources.limits.cpu", "-1"),
    ],
)
def test_a_value_of_another_type_or_form_is_refused_with_its_path(path: str, value: object) -> None:
    with pytest.raises((HelmRenderError, HelmValuesError), match=re.escape("/" + path.replace(".", "/"))):
        render({path: value})


def test_the_chart_is_without_complaints() -> None:
    assert [each for each in lint(str(CHART), {})["messages"] if each["severity"] > 1] == []


def test_every_value_is_documented_with_its_reason() -> None:
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", DOCS, re.MULTILINE))
    assert {path for path, _ in APPLICABLE} <= set(rows)
    assert {key: rows.get(key) for key in INAPPLICABLE} == INAPPLICABLE
