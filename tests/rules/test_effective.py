"""What a proxy's settings come to: proxy-defaults, service-defaults, registration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model.config_entries import ProxyDefaults, ServiceDefaults
from pellucid.model.services import (
    ExposeConfig,
    ExposePath,
    MeshGatewayConfig,
    Proxy,
    TransparentProxyConfig,
    Upstream,
)
from pellucid.rules.effective import EffectiveProxy, central_upstream_config, effective_proxy
from tests.rules.entries import entry


def settled(
    registration: Proxy = Proxy(),  # noqa: B008 - an immutable value
    *,
    proxy_defaults: Mapping[str, Any] | None = None,
    service_defaults: Mapping[str, Any] | None = None,
    others: Mapping[str, Mapping[str, Any]] | None = None,
) -> EffectiveProxy:
    """The proxy of `web`; entries as a client would write them."""
    mesh = entry("proxy-defaults", "global", **proxy_defaults) if proxy_defaults is not None else None
    own = entry("service-defaults", "web", **service_defaults) if service_defaults is not None else None
    assert mesh is None or isinstance(mesh, ProxyDefaults)
    assert own is None or isinstance(own, ServiceDefaults)
    return effective_proxy(
        registration,
        proxy_defaults=mesh,
        service_defaults=own,
        defaults_of=lambda name: _service_defaults(name, (others or {}).get(name)),
    )


def _service_defaults(name: str, fields: Mapping[str, Any] | None) -> ServiceDefaults | None:
    made = entry("service-defaults", name, **fields) if fields is not None else None
    assert made is None or isinstance(made, ServiceDefaults)
    return made


def upstream(name: str, **fields: Any) -> Upstream:
    return Upstream(destination_name=name, local_bind_port=1234, **fields)


def test_nothing_said_anywhere() -> None:
    proxy = settled()
    assert (proxy.protocol, proxy.is_transparent, proxy.outbound_listener_port) == ("tcp", False, 15001)


def test_nearer_settings_win_and_direct_beats_transparent_below_it() -> None:
    proxy = settled(
        proxy_defaults={"Config": {"protocol": "http"}, "Mode": "transparent"},
        service_defaults={"Protocol": "grpc", "Mode": "direct"},
    )
    assert (proxy.protocol, proxy.proxy.mode) == ("grpc", "direct")


def test_registration_has_the_last_word_on_protocol() -> None:
    proxy = settled(
        Proxy(config={"protocol": "http2"}),
        proxy_defaults={"Config": {"protocol": "http"}},
        service_defaults={"Protocol": "grpc"},
    )
    assert proxy.protocol == "http2"


def test_empty_protocol_of_service_defaults_inherits() -> None:
    proxy = settled(proxy_defaults={"Config": {"protocol": "http"}}, service_defaults={})
    assert proxy.protocol == "http"


def test_transparent_mode_by_the_first_spelling() -> None:
    assert settled(proxy_defaults={"TransparentProxy": True}).is_transparent


def test_false_in_the_first_spelling_turns_nothing_off() -> None:
    proxy = settled(proxy_defaults={"TransparentProxy": True}, service_defaults={"TransparentProxy": False})
    assert proxy.is_transparent


@pytest.mark.parametrize(
    ("registered", "own", "mesh", "effective"),
    [(0, 0, 0, 15001), (0, 0, 3, 3), (0, 2, 3, 2), (1, 2, 3, 1)],
)
def test_outbound_listener_port_is_the_nearest_given(
    registered: int, own: int, mesh: int, effective: int
) -> None:
    proxy = settled(
        Proxy(transparent_proxy=TransparentProxyConfig(outbound_listener_port=registered)),
        proxy_defaults={"TransparentProxy": {"OutboundListenerPort": mesh}},
        service_defaults={"TransparentProxy": {"OutboundListenerPort": own}},
    )
    assert proxy.outbound_listener_port == effective


@given(st.booleans(), st.booleans(), st.booleans())
def test_dialed_directly_if_anyone_says_so(registered: bool, own: bool, mesh: bool) -> None:
    proxy = settled(
        Proxy(transparent_proxy=TransparentProxyConfig(dialed_directly=registered)),
        proxy_defaults={"TransparentProxy": {"DialedDirectly": mesh}},
        service_defaults={"TransparentProxy": {"DialedDirectly": own}},
    )
    assert proxy.dialed_directly == (registered or own or mesh)


def test_exposed_paths_come_whole_from_the_nearest_list() -> None:
    proxy = settled(
        proxy_defaults={"Expose": {"Checks": True, "Paths": [{"Path": "/far"}]}},
        service_defaults={"Expose": {"Paths": [{"Path": "/near"}]}},
    )
    assert proxy.proxy.expose == ExposeConfig(checks=True, paths=(ExposePath(path="/near"),))


def test_config_keys_of_proxy_defaults_fill_what_the_registration_leaves_empty() -> None:
    proxy = settled(
        Proxy(config={"bind_address": "::", "bind_port": ""}),
        proxy_defaults={"Config": {"bind_address": "0.0.0.0", "bind_port": 20000}},
    )
    assert proxy.proxy.config == {"bind_address": "::", "bind_port": 20000}


def test_upstream_that_no_registration_names_gets_the_settings_of_config_entries() -> None:
    mesh = entry("proxy-defaults", "global", Config={"protocol": "http"})
    own = entry(
        "service-defaults",
        "web",
        UpstreamConfig={
            "Defaults": {"ConnectTimeoutMs": 3000, "Limits": {"MaxConnections": 10}},
            "Overrides": [{"Name": "db", "ConnectTimeoutMs": 7000}],
        },
    )
    assert isinstance(mesh, ProxyDefaults)
    assert isinstance(own, ServiceDefaults)

    def config_of(name: str, protocol: str | None = None) -> Mapping[str, Any]:
        called = _service_defaults(name, {"Protocol": protocol} if protocol else None)
        return central_upstream_config(
            name, proxy_defaults=mesh, service_defaults=own, upstream_defaults=called
        )

    shared = {"limits": {"max_connections": 10}}
    assert config_of("db", "tcp") == {"protocol": "tcp", "connect_timeout_ms": 7000, **shared}
    assert config_of("api") == {"protocol": "http", "connect_timeout_ms": 3000, **shared}


def test_registered_upstream_is_completed_but_not_contradicted() -> None:
    proxy = settled(
        Proxy(upstreams=(upstream("db", config={"connect_timeout_ms": 1}),)),
        service_defaults={
            "UpstreamConfig": {"Overrides": [{"Name": "db", "ConnectTimeoutMs": 7000, "Protocol": "http"}]}
        },
    )
    assert proxy.proxy.upstreams[0].config == {"protocol": "http", "connect_timeout_ms": 1}


@pytest.mark.parametrize(
    ("defaults", "registered", "override", "registered_upstream", "effective"),
    [
        ("local", "", "", "", "local"),
        ("local", "remote", "", "", "remote"),
        ("local", "remote", "none", "", "none"),
        ("local", "remote", "none", "local", "local"),
    ],
)
def test_mesh_gateway_of_an_upstream(
    defaults: str, registered: str, override: str, registered_upstream: str, effective: str
) -> None:
    proxy = settled(
        Proxy(
            mesh_gateway=MeshGatewayConfig(registered),
            upstreams=(upstream("db", mesh_gateway=MeshGatewayConfig(registered_upstream)),),
        ),
        service_defaults={
            "UpstreamConfig": {
                "Defaults": {"MeshGateway": {"Mode": defaults}},
                "Overrides": [{"Name": "db", "MeshGateway": {"Mode": override}}],
            }
        },
    )
    assert proxy.proxy.upstreams[0].mesh_gateway.mode == effective
    assert proxy.proxy.upstreams[0].config is None


def test_prepared_queries_are_left_as_registered() -> None:
    query = upstream("nearest-db", destination_type="prepared_query")
    proxy = settled(Proxy(upstreams=(query,)), proxy_defaults={"Config": {"protocol": "http"}})
    assert proxy.proxy.upstreams == (query,)


def test_last_of_two_overrides_for_one_upstream_counts() -> None:
    proxy = settled(
        Proxy(upstreams=(upstream("db"),)),
        service_defaults={
            "UpstreamConfig": {
                "Overrides": [{"Name": "db", "ConnectTimeoutMs": 1}, {"Name": "db", "ConnectTimeoutMs": 2}]
            }
        },
    )
    assert proxy.proxy.upstreams[0].config == {"connect_timeout_ms": 2}


def test_limit_of_zero_is_a_limit() -> None:
    proxy = settled(
        Proxy(upstreams=(upstream("db"),)),
        service_defaults={"UpstreamConfig": {"Defaults": {"Limits": {"MaxConnections": 0}}}},
    )
    assert proxy.proxy.upstreams[0].config == {"limits": {"max_connections": 0}}
