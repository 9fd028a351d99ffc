"""What the opaque Config maps mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.model.config_entries import PassiveHealthCheck, UpstreamConfig, UpstreamLimits
from pellucid.model.services import MeshGatewayConfig
from pellucid.rules.proxy_config import (
    ProxySettings,
    proxy_settings,
    upstream_config,
    upstream_settings,
)

UPSTREAM_SETTINGS = st.builds(
    UpstreamConfig,
    envoy_listener_json=st.sampled_from(("", '{"@type": "x"}')),
    envoy_cluster_json=st.sampled_from(("", '{"@type": "y"}')),
    protocol=st.sampled_from(("", "tcp", "http")),
    connect_timeout_ms=st.integers(0, 10000),
    limits=st.none()
    | st.builds(
        UpstreamLimits,
        max_connections=st.none() | st.integers(0, 9),
        max_pending_requests=st.none() | st.integers(0, 9),
        max_concurrent_requests=st.integers(0, 9),
    ),
    passive_health_check=st.none()
    | st.builds(PassiveHealthCheck, interval=st.integers(0, 10**10), max_failures=st.integers(1, 9)),
    mesh_gateway=st.builds(MeshGatewayConfig, st.sampled_from(("", "local"))),
)


def test_empty_config_means_the_defaults() -> None:
    assert proxy_settings({}) == ProxySettings()
    assert upstream_settings({}) == UpstreamConfig()


def test_values_are_weakly_typed_and_keys_match_in_any_case() -> None:
    settings = proxy_settings({"Protocol": "HTTP", "bind_port": "20000", "local_request_timeout_ms": 0})
    assert (settings.protocol, settings.bind_port, settings.local_request_timeout_ms) == ("http", 20000, 0)


def test_unreadable_value_counts_as_not_given_and_spoils_no_other() -> None:
    settings = upstream_settings({"connect_timeout_ms": "soon", "protocol": "grpc"})
    assert (settings.connect_timeout_ms, settings.protocol) == (0, "grpc")


def test_keys_without_a_meaning_are_passed_over() -> None:
    assert proxy_settings({"envoy_prometheus_bind_addr": "0.0.0.0:9102", "x": [1]}) == ProxySettings()


def test_local_connect_timeout_below_a_millisecond_is_the_default() -> None:
    assert proxy_settings({"local_connect_timeout_ms": -1}).local_connect_timeout_ms == 5000


def test_limits_in_the_words_of_users() -> None:
    settings = upstream_settings(
        {"limits": {"max_connections": 0}, "passive_health_check": {"interval": "10s", "max_failures": 3}}
    )
    assert settings.limits == UpstreamLimits(max_connections=0)
    assert settings.passive_health_check == PassiveHealthCheck(interval=10_000_000_000, max_failures=3)


@given(UPSTREAM_SETTINGS)
def test_settings_survive_the_opaque_form(settings: UpstreamConfig) -> None:
    assert upstream_settings(upstream_config(settings)) == settings
