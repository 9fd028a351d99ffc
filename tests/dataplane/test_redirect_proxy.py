from typing import Any

import pytest

from pellucid.dataplane.redirect_proxy import NotAProxyError, settings_of_proxy
from pellucid.dataplane.redirect_settings import InvalidSettingError, RedirectSettings

GIVEN = RedirectSettings(proxy_uid=5995, exclude_inbound_ports=(9999,), exclude_outbound_ports=(5432,))


def sidecar(**proxy: Any) -> dict[str, Any]:
    return {
        "ID": "web-sidecar-proxy",
        "Kind": "connect-proxy",
        "Port": 21000,
        "Proxy": {"DestinationServiceName": "web", **proxy},
    }


def test_ports_come_from_the_registration() -> None:
    settings = settings_of_proxy(sidecar(TransparentProxy={"OutboundListenerPort": 16001}), [], GIVEN)
    assert (settings.inbound_port, settings.outbound_port) == (21000, 16001)


def test_bind_port_is_preferred_to_the_services_port() -> None:
    assert settings_of_proxy(sidecar(Config={"bind_port": 21999}), [], GIVEN).inbound_port == 21999


def test_outbound_port_is_15001_unless_registered() -> None:
    assert (
        settings_of_proxy(sidecar(TransparentProxy={"OutboundListenerPort": 0}), [], GIVEN).outbound_port
        == 15001
    )


def test_ports_that_others_reach_directly_are_excluded_before_the_given_ones() -> None:
    proxy = sidecar(
        Config={"envoy_prometheus_bind_addr": "0.0.0.0:9102", "envoy_stats_bind_addr": "[::]:9103"},
        Expose={"Paths": [{"ListenerPort": 21500}, {"ListenerPort": 0}], "Checks": True},
    )
    checks = [
        {"ServiceName": "web", "ExposedPort": 21501},
        {"ServiceName": "web"},
        {"ServiceName": "api", "ExposedPort": 21502},
    ]
    settings = settings_of_proxy(proxy, checks, GIVEN)
    assert settings.exclude_inbound_ports == (9102, 9103, 21500, 21501, 9999)
    assert settings.exclude_outbound_ports == (5432,)


def test_exposed_checks_count_only_when_the_proxy_exposes_checks() -> None:
    checks = [{"ServiceName": "web", "ExposedPort": 21501}]
    assert settings_of_proxy(sidecar(), checks, GIVEN).exclude_inbound_ports == (9999,)


def test_a_plain_service_is_refused() -> None:
    with pytest.raises(NotAProxyError, match="service web is not a proxy service"):
        settings_of_proxy({"ID": "web", "Kind": "", "Port": 80}, [], GIVEN)


def test_a_proxy_without_a_port_is_refused_naming_the_port() -> None:
    with pytest.raises(InvalidSettingError, match="bind_port"):
        settings_of_proxy(sidecar() | {"Port": 0}, [], GIVEN)


def test_an_unreadable_bind_address_is_refused_naming_its_key() -> None:
    with pytest.raises(InvalidSettingError, match="envoy_stats_bind_addr"):
        settings_of_proxy(sidecar(Config={"envoy_stats_bind_addr": "9103"}), [], GIVEN)
