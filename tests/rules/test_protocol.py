"""Which protocol a service speaks."""

from __future__ import annotations

import pytest

from pellucid.model.config_entries import ProxyDefaults, ServiceDefaults
from pellucid.rules.protocol import is_http_like, service_protocol

HTTP_BY_DEFAULT = ProxyDefaults(name="global", config={"protocol": "HTTP"})


def test_tcp_when_nobody_says() -> None:
    assert service_protocol(None, None) == "tcp"


def test_proxy_defaults_speak_for_services_without_an_entry() -> None:
    assert service_protocol(None, HTTP_BY_DEFAULT) == "http"


def test_service_defaults_win() -> None:
    assert service_protocol(ServiceDefaults(name="web", protocol="GRPC"), HTTP_BY_DEFAULT) == "grpc"


def test_service_defaults_without_a_protocol_inherit() -> None:
    assert service_protocol(ServiceDefaults(name="web"), HTTP_BY_DEFAULT) == "http"


def test_default_protocol_that_is_no_text_counts_as_none() -> None:
    assert service_protocol(None, ProxyDefaults(name="global", config={"protocol": 7})) == "tcp"


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [("http", True), ("http2", True), ("grpc", True), ("tcp", False), ("mongo", False)],
)
def test_http_like(protocol: str, expected: bool) -> None:
    assert is_http_like(protocol) is expected
