"""`connect envoy`: which proxy, which bootstrap, and a real Envoy that takes it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import ReplayingAgent, Result

Cli = Callable[..., Result]


def proxy(identifier: str, destination: str) -> dict[str, object]:
    return {
        "Kind": "connect-proxy",
        "ID": identifier,
        "Service": "web-sidecar-proxy",
        "Port": 21000,
        "Datacenter": "dc1",
        "Proxy": {
            "DestinationServiceName": "web",
            "DestinationServiceID": destination,
            "Config": {"envoy_stats_flush_interval": "7s"},
        },
    }


@pytest.fixture
def mesh(agent: ReplayingAgent) -> ReplayingAgent:
    """An agent with one service, `Web-1`, that has one sidecar."""
    sidecar = proxy("web-sidecar-proxy", "Web-1")
    agent.answer("GET", "/v1/agent/services", json.dumps({"Web-1": {"ID": "Web-1"}, "p": sidecar}))
    agent.answer("GET", "/v1/agent/service/web-sidecar-proxy", json.dumps(sidecar))
    agent.answer("GET", "/v1/agent/self", '{"xDS": {"Port": 18502}}')
    return agent


def bootstrap(cli: Cli, *words: str, **options: dict[str, str]) -> dict[str, object]:
    result = cli("connect", "envoy", "-bootstrap", *words, **options)
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    assert isinstance(document, dict)
    return document


def local_agent(document: dict[str, object]) -> dict[str, object]:
    cluster = document["static_resources"]["clusters"][0]  # type: ignore[index]
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    return endpoint["address"]  # type: ignore[no-any-return]


def test_the_sidecar_is_found_by_its_service_whatever_the_case(cli: Cli, mesh: ReplayingAgent) -> None:
    document = bootstrap(cli, "-sidecar-for=web-1")
    assert document["node"]["id"] == "web-sidecar-proxy"  # type: ignore[index]
    assert document["node"]["cluster"] == "web"  # type: ignore[index]


def test_the_proxy_and_the_service_may_come_from_the_environment(cli: Cli, mesh: ReplayingAgent) -> None:
    by_service = bootstrap(cli, environment={"CONNECT_SIDECAR_FOR": "Web-1"})
    by_proxy = bootstrap(cli, environment={"CONNECT_PROXY_ID": "web-sidecar-proxy"})
    assert by_service == by_proxy


def test_xds_is_where_the_agent_says_on_the_host_of_the_http_address(cli: Cli, mesh: ReplayingAgent) -> None:
    document = bootstrap(cli, "-proxy-id=web-sidecar-proxy")
    assert local_agent(document) == {"socket_address": {"address": "127.0.0.1", "port_value": 18502}}


def test_xds_is_where_the_flag_says(cli: Cli, mesh: ReplayingAgent) -> None:
    document = bootstrap(cli, "-proxy-id=web-sidecar-proxy", "-grpc-addr=unix:///run/xds.sock")
    assert local_agent(document) == {"pipe": {"path": "/run/xds.sock"}}
    by_variable = bootstrap(
        cli, "-proxy-id=web-sidecar-proxy", environment={"CONSUL_GRPC_ADDR": "unix:///run/xds.sock"}
    )
    assert by_variable == document


def test_https_means_tls_checked_against_the_given_authority(
    cli: Cli, mesh: ReplayingAgent, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("the authority")
    document = bootstrap(
        cli, "-proxy-id=web-sidecar-proxy", "-grpc-addr=https://127.0.0.1:1", f"-ca-file={tmp_path}/ca.pem"
    )
    assert "the authority" in json.dumps(document)


def test_https_without_an_authority_trusts_the_meshs_roots(cli: Cli, mesh: ReplayingAgent) -> None:
    roots = {"Roots": [{"RootCert": "old root\n"}, {"RootCert": "new root\n"}]}
    mesh.answer("GET", "/v1/agent/connect/ca/roots", json.dumps(roots))
    document = bootstrap(cli, "-proxy-id=web-sidecar-proxy", "-grpc-addr=https://127.0.0.1:1")
    assert "old root\\nnew root\\n" in json.dumps(document)


def test_the_proxys_configuration_counts_unless_it_is_switched_off(cli: Cli, mesh: ReplayingAgent) -> None:
    words = ("-proxy-id=web-sidecar-proxy", "-admin-bind=127.0.0.1:19999")
    document = bootstrap(cli, *words)
    assert document["stats_flush_interval"] == "7s"
    assert document["admin"]["address"]["socket_address"]["port_value"] == 19999  # type: ignore[index]
    assert "stats_flush_interval" not in bootstrap(cli, *words, "-no-central-config")


def test_the_token_goes_with_every_stream(cli: Cli, mesh: ReplayingAgent) -> None:
    assert '"value": "s3cret"' in json.dumps(bootstrap(cli, "-proxy-id=web-sidecar-proxy", "-token=s3cret"))


def test_a_service_without_a_sidecar(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/agent/services", '{"web": {"ID": "web"}}')
    assert cli("connect", "envoy", "-sidecar-for=web") == Result(
        1, "", "No sidecar proxy registered for web\n"
    )


def test_a_service_with_two_sidecars(cli: Cli, agent: ReplayingAgent) -> None:
    services = {name: proxy(name, "web") for name in ("b", "a")}
    agent.answer("GET", "/v1/agent/services", json.dumps(services))
    assert cli("connect", "envoy", "-sidecar-for=web").err == (
        "More than one sidecar proxy registered for web.\n"
        "    Start proxy with -proxy-id and one of the following IDs: a, b\n"
    )


def test_a_service_that_is_no_proxy(cli: Cli, agent: ReplayingAgent) -> None:
    agent.answer("GET", "/v1/agent/service/web", '{"ID": "web"}')
    assert cli("connect", "envoy", "-proxy-id=web").err == "service is not a Connect proxy or gateway\n"


def test_an_unknown_proxy(cli: Cli, agent: ReplayingAgent) -> None:
    agent.replay("x066")
    assert cli("connect", "envoy", "-proxy-id=none").err == (
        "failed fetch proxy config from local agent: "
        "Unexpected response code: 404 (unknown service ID: none)\n"
    )


def test_something_must_name_the_proxy(cli: Cli) -> None:
    assert cli("connect", "envoy").err == (
        "No proxy ID specified. One of -proxy-id, -sidecar-for, or -gateway is required\n"
    )


def test_gateways_are_refused(cli: Cli) -> None:
    result = cli("connect", "envoy", "-gateway=mesh", "-register")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Gateways are not part of this mesh")


def test_a_missing_binary_is_named(cli: Cli, mesh: ReplayingAgent) -> None:
    result = cli("connect", "envoy", "-proxy-id=web-sidecar-proxy", "-envoy-binary=/none")
    assert result.code == 1
    assert result.err.startswith("Couldn't find envoy binary: ")


def test_the_real_envoy_takes_the_bootstrap_from_a_pipe_that_is_gone_afterwards(
    mesh: ReplayingAgent, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            sys.executable, "-c", "from pellucid.cli import main; main()",
            "connect", "envoy", "-sidecar-for=Web-1", "-token=s3cret", "--", "--mode", "validate",
        ],
        env={"CONSUL_HTTP_ADDR": mesh.address, "TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "OK" in done.stdout + done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
