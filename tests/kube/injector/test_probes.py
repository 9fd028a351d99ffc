"""What the kubelet sends reaches the application behind a redirection."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kube.injector.pods import UNDIRECTED, Pod, container, flags, inject, named, pod, refusal


def probed(kind: str, probe: dict[str, Any], name: str = "web") -> dict[str, Any]:
    return container(name, **{kind: probe})


def probe_of(changed: Pod, kind: str = "readinessProbe", name: str = "web") -> dict[str, Any]:
    return dict(named(changed, name)[kind])


def open_ports(changed: Pod) -> list[str]:
    """The inbound ports that are not redirected."""
    stem = "-exclude-inbound-port="
    told = flags(changed, "consul-connect-inject-init")
    return [flag.removeprefix(stem) for flag in told if flag.startswith(stem)]


def questions(changed: Pod) -> list[str]:
    """What the sidecar process may be asked."""
    return [flag.removeprefix("-probe=") for flag in flags(changed) if flag.startswith("-probe=")]


@pytest.mark.parametrize(
    ("kind", "port"), [("livenessProbe", 20300), ("readinessProbe", 20400), ("startupProbe", 20500)]
)
@pytest.mark.parametrize("how", ["httpGet", "grpc"])
def test_http_and_grpc_probes_go_through_a_port_of_their_own(kind: str, port: int, how: str) -> None:
    probe = {how: {"port": 8080}, "periodSeconds": 3}
    changed = inject(pod(containers=[probed(kind, probe)]))
    assert probe_of(changed, kind) == {how: {"port": port}, "periodSeconds": 3}
    assert open_ports(changed) == ["21000", str(port)]
    assert questions(changed) == []


def test_each_container_has_ports_of_its_own() -> None:
    probe = {"httpGet": {"path": "/", "port": 80}}
    both = [probed("readinessProbe", probe, "a"), probed("readinessProbe", probe, "b")]
    cache = probed("readinessProbe", probe, "cache") | {"restartPolicy": "Always"}
    changed = inject(pod(containers=both, initContainers=[cache]))
    ports = [probe_of(changed, name=name)["httpGet"]["port"] for name in ("a", "b", "cache")]
    assert ports == [20400, 20401, 20402]
    assert open_ports(changed) == ["21000", "20400", "20401", "20402"]


def test_everything_else_about_a_probe_stays() -> None:
    asked = {"path": "/ready?full", "port": "http", "httpHeaders": [{"name": "X", "value": "y"}]}
    probe = {"httpGet": asked, "timeoutSeconds": 7, "terminationGracePeriodSeconds": 1}
    changed = inject(pod(containers=[probed("readinessProbe", probe)]))
    assert probe_of(changed) == {**probe, "httpGet": {**asked, "port": 20400}}


def test_a_tcp_probe_asks_the_sidecar_to_dial_the_application() -> None:
    changed = inject(
        pod(containers=[probed("livenessProbe", {"tcpSocket": {"port": "http"}, "periodSeconds": 3})])
    )
    assert probe_of(changed, "livenessProbe") == {
        "httpGet": {"port": 21000, "path": "/probes/web/livenessProbe"},
        "periodSeconds": 3,
    }
    assert questions(changed) == ["web/livenessProbe=tcp://127.0.0.1:8080"]
    assert open_ports(changed) == ["21000"]


def test_an_https_probe_asks_the_sidecar_too() -> None:
    asked = {"path": "healthz", "port": 8443, "scheme": "HTTPS"}
    changed = inject(pod(containers=[probed("startupProbe", {"httpGet": asked})]))
    assert probe_of(changed, "startupProbe") == {
        "httpGet": {"port": 21000, "path": "/probes/web/startupProbe"}
    }
    assert questions(changed) == ["web/startupProbe=https://127.0.0.1:8443/healthz"]


def test_http_hooks_ask_the_sidecar_and_others_stay() -> None:
    hooks = {
        "postStart": {"exec": {"command": ["a"]}},
        "preStop": {"httpGet": {"path": "/stop", "port": 8080}},
    }
    changed = inject(pod(containers=[container(lifecycle=hooks)]))
    assert named(changed, "web")["lifecycle"] == {
        "postStart": hooks["postStart"],
        "preStop": {"httpGet": {"port": 21000, "path": "/probes/web/preStop"}},
    }
    assert questions(changed) == ["web/preStop=http://127.0.0.1:8080/stop"]


@pytest.mark.parametrize(
    "probe",
    [
        {"exec": {"command": ["true"]}},
        {"httpGet": {"path": "/", "port": 80, "host": "192.0.2.1"}},
        {"tcpSocket": {"port": 80, "host": "192.0.2.1"}},
    ],
)
def test_commands_and_probes_of_other_hosts_stay(probe: dict[str, Any]) -> None:
    changed = inject(pod(containers=[probed("readinessProbe", probe)]))
    assert probe_of(changed) == probe
    assert (open_ports(changed), questions(changed)) == (["21000"], [])


@pytest.mark.parametrize(
    ("annotations", "settings"),
    [
        ({}, UNDIRECTED),
        ({"transparent-proxy-overwrite-probes": "false"}, {}),
        ({}, {"overwrite_probes": False}),
    ],
)
def test_without_redirection_or_on_request_probes_stay(
    annotations: dict[str, str], settings: dict[str, Any]
) -> None:
    probe = {"httpGet": {"path": "/", "port": 80}}
    author = pod(annotations, containers=[probed("readinessProbe", probe)])
    assert probe_of(inject(author, **settings)) == probe


@pytest.mark.parametrize("how", ["httpGet", "tcpSocket"])
def test_a_port_that_the_container_does_not_have_is_refused(how: str) -> None:
    author = pod(containers=[probed("readinessProbe", {how: {"port": "admin"}})])
    assert refusal(author).startswith('container "web": readinessProbe asks port "admin", which is neither')


def test_a_switch_that_means_nothing_is_refused() -> None:
    assert refusal(pod({"transparent-proxy-overwrite-probes": "no"})).startswith(
        'error overwriting readiness or liveness probes: strconv.ParseBool: parsing "no": invalid syntax'
    )


def test_more_containers_than_there_are_ports_are_refused() -> None:
    many = [{"name": f"c{number}", "image": "c"} for number in range(101)]
    assert refusal(pod(containers=many)).startswith("probes of at most 100 containers can be rewritten")
