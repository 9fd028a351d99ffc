import base64
from typing import Any

import pytest

from pellucid.localkube.node.environment import (
    ConfigurationError,
    PodFacts,
    Sources,
    command_line,
    container_environment,
    expand,
    service_environment,
)
from pellucid.localkube.node.quantities import quantity_in

Object = dict[str, Any]
POD: Object = {
    "metadata": {"name": "p", "namespace": "d", "uid": "u", "labels": {"app": "x"}},
    "spec": {"nodeName": "n", "containers": []},
}
FACTS = PodFacts(("10.244.0.2",), ("172.30.0.2",), "2", "1Gi")
MAPS = {"m": {"data": {"k": "v", "j": "w"}}}
SECRETS = {"s": {"data": {"password": base64.b64encode(b"pw").decode()}}}
SOURCES = Sources(MAPS.get, SECRETS.get)


def variables(**container: Any) -> dict[str, str]:
    return container_environment(POD, {"name": "c", **container}, FACTS, SOURCES, {"PATH": "/bin"})


def referring(**origin: Any) -> dict[str, str]:
    return variables(env=[{"name": "A", "valueFrom": origin}])


def test_a_value_may_refer_to_earlier_ones() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)-$(C)-$$(A)"},
        {"name": "C", "value": "3"},
    ]
    assert variables(env=env)["B"] == "1-$(C)-$(A)"


def test_expansion_leaves_what_it_does_not_know() -> None:
    assert expand("$(X) $X $", {"Y": "1"}) == "$(X) $X $"


@pytest.mark.parametrize(
    ("path", "value"),
    [("metadata.name", "p"), ("metadata.labels['app']", "x"), ("metadata.annotations['no']", ""),
     ("status.hostIP", "172.30.0.2"), ("status.podIP", "10.244.0.2"), ("spec.nodeName", "n")],
)  # fmt: skip
def test_fields_of_the_pod(path: str, value: str) -> None:
    assert referring(fieldRef={"fieldPath": path})["A"] == value


def test_keys_of_config_maps_and_secrets() -> None:
    assert referring(configMapKeyRef={"name": "m", "key": "k"})["A"] == "v"
    assert referring(secretKeyRef={"name": "s", "key": "password"})["A"] == "pw"
    assert variables(envFrom=[{"prefix": "M_", "configMapRef": {"name": "m"}}])["M_j"] == "w"


def test_what_is_missing_is_named_and_what_is_optional_is_left_out() -> None:
    with pytest.raises(ConfigurationError, match="couldn't find key no in ConfigMap d/m"):
        referring(configMapKeyRef={"name": "m", "key": "no"})
    with pytest.raises(ConfigurationError, match='secret "no" not found'):
        referring(secretKeyRef={"name": "no", "key": "k"})
    assert "A" not in referring(secretKeyRef={"name": "no", "key": "k", "optional": True})


def test_resources_without_a_limit_are_the_node_s() -> None:
    assert referring(resourceFieldRef={"resource": "limits.cpu"})["A"] == "2"
    limits = {"limits": {"memory": "64Mi"}}
    reference = {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}
    assert variables(resources=limits, env=[{"name": "A", "valueFrom": reference}])["A"] == "64"


def test_command_replaces_the_image_s_and_args_only_its_arguments() -> None:
    assert command_line({}, ["e"], ["c"], {}) == ("e", "c")
    assert command_line({"args": ["$(A)"]}, ["e"], ["c"], {"A": "1"}) == ("e", "1")
    assert command_line({"command": ["x"]}, ["e"], ["c"], {}) == ("x",)


def test_services_are_told_by_variables() -> None:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    service = {"metadata": {"name": "my-web"}, "spec": {"clusterIP": "10.96.0.7", "ports": ports}}
    told = service_environment([service, {"metadata": {"name": "h"}, "spec": {"clusterIP": "None"}}])
    assert told["MY_WEB_SERVICE_HOST"] == "10.96.0.7"
    assert told["MY_WEB_SERVICE_PORT_HTTP"] == "80"
    assert told["MY_WEB_PORT_80_TCP"] == "tcp://10.96.0.7:80"
    assert not any(name.startswith("H_") for name in told)


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [("100m", "1m", 100), ("1.5", "1m", 1500), ("1Ki", "1", 1024), ("1k", "1", 1000), ("2e3", "1", 2000),
     ("1", "1Mi", 1)],
)  # fmt: skip
def test_quantities(text: str, unit: str, number: int) -> None:
    assert quantity_in(text, unit) == number
