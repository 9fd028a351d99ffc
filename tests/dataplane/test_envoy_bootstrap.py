"""Bootstraps as Consul shapes them, and as the real Envoy takes them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid.dataplane.envoy_binary import envoy_command, find_envoy
from pellucid.dataplane.envoy_bootstrap import build_bootstrap, render_bootstrap
from pellucid.dataplane.envoy_settings import (
    BootstrapConfig,
    BootstrapSettings,
    InternetAddress,
    UnixAddress,
    XdsServer,
    bootstrap_config,
    parse_xds_address,
)
from pellucid.dataplane.redirect_settings import InvalidSettingError
from tests.self_signed import self_signed

GOLDEN = Path(__file__).parent / "golden"

PLAIN = XdsServer(InternetAddress("127.0.0.1", 8502))


def settings(xds: XdsServer = PLAIN, **changes: Any) -> BootstrapSettings:
    return BootstrapSettings(
        **{
            "proxy_id": "web-sidecar-proxy",
            "proxy_cluster": "web",
            "proxy_source_service": "web",
            "datacenter": "dc1",
            "envoy_version": "1.40.0",
            "xds": xds,
            **changes,
        }
    )


EVERYTHING = BootstrapConfig(
    envoy_statsd_url="udp://127.0.0.1:8125",
    envoy_dogstatsd_url="unix:///run/dogstatsd.sock",
    envoy_stats_tags=("Team=payments", "canary"),
    envoy_prometheus_bind_addr="0.0.0.0:9102",
    envoy_stats_bind_addr="[::1]:9103",
    envoy_extra_static_clusters_json='{"name": "one", "type": "STATIC"}, {"name": "two", "type": "STATIC"}',
    envoy_extra_stats_sinks_json='{"name": "envoy.stat_sinks.hystrix", "typed_config": {"@type": '
    '"type.googleapis.com/envoy.config.metrics.v3.HystrixSink"}}',
    envoy_stats_flush_interval="10s",
)

CASES = {
    "plain": settings(token="aaaa-bbbb"),
    "unix_socket": settings(XdsServer(UnixAddress("/run/pellucid/xds.sock")), omit_deprecated_tags=True),
    "tls": settings(XdsServer(InternetAddress("10.0.0.1", 8503), "CA PEM\n", "server.dc1.consul")),
    "marked_with_unix_admin": settings(proxy_mark=0x70656C, admin=UnixAddress("/run/admin.sock")),
    "metrics": settings(config=EVERYTHING, prometheus_backend_port=20100, prometheus_scrape_path="/scrape"),
    "gateway_ready": settings(ready_address=InternetAddress("0.0.0.0", 8080)),
}


@pytest.mark.parametrize("case", CASES)
def test_bootstrap_is_as_recorded(case: str, refresh_golden: bool) -> None:
    recorded = GOLDEN / f"bootstrap_{case}.json"
    rendered = render_bootstrap(build_bootstrap(CASES[case]))
    if refresh_golden:
        recorded.parent.mkdir(exist_ok=True)
        recorded.write_text(rendered)
    assert rendered == recorded.read_text()


@pytest.fixture
def accepted_by_envoy(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    """Has the real Envoy load a bootstrap; returns what it said about it."""

    def load(bootstrap: dict[str, Any]) -> str:
        config = tmp_path / "bootstrap.json"
        config.write_text(render_bootstrap(bootstrap))
        command = envoy_command(find_envoy(), str(config), ["--mode", "validate", "-l", "warning"])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    return load


@pytest.mark.parametrize("case", CASES)
def test_envoy_takes_it_without_a_word_about_deprecation(
    case: str, accepted_by_envoy: Callable[[dict[str, Any]], str]
) -> None:
    bootstrap = build_bootstrap(CASES[case])
    text = render_bootstrap(bootstrap).replace(
        "CA PEM\\n", self_signed().certificate.decode().replace("\n", "\\n")
    )
    assert "deprecated" not in accepted_by_envoy(json.loads(text))


def test_the_credential_travels_as_metadata_and_is_there_even_when_empty() -> None:
    for token in ("", "a-credential"):
        ads = build_bootstrap(settings(token=token))["dynamic_resources"]["ads_config"]
        assert ads["grpc_services"][0]["initial_metadata"] == [{"key": "x-consul-token", "value": token}]


COUNTER_TAGS = {
    "cluster.api.default.dc1.internal.e5b08d03.consul.upstream_cx_total": {
        "service": "api",
        "namespace": "default",
        "datacenter": "dc1",
        "routing_type": "internal",
        "trust_domain": "e5b08d03",
        "target": "api.default.dc1",
        "full_target": "api.default.dc1.internal.e5b08d03",
    },
    "cluster.passthrough~1a2b~v2.api.default.dc1.internal.e5b08d03.consul.bind_errors": {
        "custom_hash": "1a2b",
        "service_subset": "v2",
        "service": "api",
        "target": "v2.api.default.dc1",
        "full_target": "1a2b~v2.api.default.dc1.internal.e5b08d03",
    },
    "tcp.upstream.api.default.dc1.downstream_cx_total": {},
    "http.upstream.api.default.dc1.downstream_rq_total": {},
}


@pytest.mark.parametrize("counter", COUNTER_TAGS)
def test_destinations_are_read_out_of_counter_names(counter: str) -> None:
    tags = build_bootstrap(settings())["stats_config"]["stats_tags"]
    found = {
        tag["tag_name"].removeprefix("consul.destination."): match[2]
        for tag in tags
        if tag["tag_name"].startswith("consul.destination.")
        if (match := re.search(tag["regex"], counter)) and match[2]
    }
    assert found | COUNTER_TAGS[counter] == found
    assert bool(found) == bool(COUNTER_TAGS[counter])


def test_upstreams_are_read_out_of_counter_names() -> None:
    tags = {t["tag_name"]: t for t in build_bootstrap(settings())["stats_config"]["stats_tags"]}
    for name, value in {"service": "api", "namespace": "default", "datacenter": "dc1"}.items():
        match = re.search(tags[f"consul.upstream.{name}"]["regex"], "tcp.upstream.api.default.dc1.cx_total")
        assert match is not None
        assert match[2] == value


def test_a_users_fixed_tag_replaces_the_standard_one() -> None:
    config = BootstrapConfig(envoy_stats_tags=("consul.destination.service=mine", "local_cluster=ours"))
    tags = build_bootstrap(settings(config=config))["stats_config"]["stats_tags"]
    assert [t for t in tags if t["tag_name"] == "consul.destination.service"] == [
        {"tag_name": "consul.destination.service", "fixed_value": "mine"}
    ]
    assert [t["fixed_value"] for t in tags if t["tag_name"] == "local_cluster"] == ["ours"]


def test_without_service_tags_nothing_is_read_out_of_counter_names() -> None:
    tags = build_bootstrap(settings(service_tags=False))["stats_config"]["stats_tags"]
    assert tags
    assert all("fixed_value" in tag for tag in tags)


def test_sink_urls_come_from_the_environment() -> None:
    config = BootstrapConfig(envoy_statsd_url="$STATSD", envoy_dogstatsd_url="udp://${HOST_IP}:8125")
    environment = {"STATSD": "udp://192.0.2.1:9125", "HOST_IP": "192.0.2.2"}
    sinks = build_bootstrap(settings(config=config), environment)["stats_sinks"]
    addresses = [sink["typed_config"]["address"]["socket_address"] for sink in sinks]
    assert addresses == [
        {"address": "192.0.2.1", "port_value": 9125, "protocol": "UDP"},
        {"address": "192.0.2.2", "port_value": 8125, "protocol": "UDP"},
    ]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("envoy_statsd_url", "tcp://127.0.0.1:1", 'unsupported address protocol "tcp" for statsd sink'),
        ("envoy_statsd_url", "$UNSET", "environment variable UNSET"),
        ("envoy_prometheus_bind_addr", "9102", "address with a port"),
        ("envoy_extra_static_clusters_json", "{", "JSON objects"),
        ("envoy_stats_config_json", "[]", "JSON object"),
        ("envoy_tracing_json", "{}, {}", "one JSON object"),
        ("envoy_bootstrap_json_tpl", "{{ if .Token }}{}{{ end }}", "only {{ .Variable }} actions"),
        ("envoy_bootstrap_json_tpl", "{}\n{{ .Tokne }}", "line 2"),
        ("envoy_bootstrap_json_tpl", "not json", "JSON"),
    ],
)
def test_a_bad_proxy_config_value_is_refused_naming_its_key(key: str, value: str, said: str) -> None:
    with pytest.raises(InvalidSettingError, match=key) as caught:
        build_bootstrap(settings(config=bootstrap_config({key: value})))
    assert said in str(caught.value)


def test_proxy_config_takes_consuls_weak_types_and_passes_over_other_keys() -> None:
    config = bootstrap_config({"envoy_stats_flush_interval": "5s", "protocol": "http", "bind_port": "1"})
    assert config == BootstrapConfig(envoy_stats_flush_interval="5s")
    with pytest.raises(InvalidSettingError, match="envoy_stats_tags"):
        bootstrap_config({"envoy_stats_tags": 5})


def test_a_template_replaces_everything_and_sees_every_variable() -> None:
    template = """{"node": {"id": "{{ .ProxyID }}", "cluster": "{{.ProxyCluster}}"},
      "agent": "{{ .AgentAddress }}:{{- .AgentPort -}}  ", "tls": {{ .AgentTLS }},
      "ca": "{{ .AgentCAPEM }}", "clusters": [{{ .StaticClustersJSON }}], "stats": {{ .StatsConfigJSON }}}"""
    xds = XdsServer(InternetAddress("10.0.0.1", 8503), "line\nline\n")
    bootstrap = build_bootstrap(settings(xds, config=BootstrapConfig(envoy_bootstrap_json_tpl=template)))
    assert bootstrap.pop("stats")["use_all_default_tags"] is True
    assert bootstrap == {
        "node": {"id": "web-sidecar-proxy", "cluster": "web"},
        "agent": "10.0.0.1:8503",
        "tls": True,
        "ca": "line\nline\n",
        "clusters": [],
    }


def test_the_forms_of_a_grpc_address() -> None:
    def resolve(host: str) -> str:
        return {"localhost": "127.0.0.1"}.get(host, host)

    assert parse_xds_address("localhost:8502", resolve) == (InternetAddress("127.0.0.1", 8502), False)
    assert parse_xds_address("http://10.0.0.1:1", resolve) == (InternetAddress("10.0.0.1", 1), False)
    assert parse_xds_address("https://[::1]:8503", resolve) == (InternetAddress("::1", 8503), True)
    assert parse_xds_address("unix:///run/x.sock", resolve) == (UnixAddress("/run/x.sock"), False)


def test_a_grpc_address_without_port_or_host_is_refused() -> None:
    def unknown(host: str) -> str:
        raise OSError("Name or service not known")

    for text in ("localhost", ":8502", "nowhere.example:8502"):
        with pytest.raises(InvalidSettingError, match="grpc-addr"):
            parse_xds_address(text, unknown)
