"""The rules of ingress-gateway and terminating-gateway entries."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model.config_entries import (
    ConfigEntryError,
    IngressGateway,
    decode_config_entry,
    normalize,
    validate,
)


def accept(data: dict[str, Any]) -> None:
    validate(normalize(decode_config_entry(data)))


def refusal_of(data: dict[str, Any]) -> str:
    with pytest.raises(ConfigEntryError) as refusal:
        accept(data)
    return str(refusal.value)


def listener(protocol: str, *services: dict[str, Any], port: int = 80) -> dict[str, Any]:
    return {"Port": port, "Protocol": protocol, "Services": list(services)}


def ingress(*listeners: dict[str, Any], tls: bool = False) -> dict[str, Any]:
    return {
        "Kind": "ingress-gateway",
        "Name": "gw",
        "TLS": {"Enabled": tls},
        "Listeners": list(listeners),
    }


def with_hosts(*hosts: str) -> dict[str, Any]:
    return listener("http", {"Name": "web", "Hosts": list(hosts)})


def test_a_listeners_protocol_is_lower_cased_and_tcp_by_default() -> None:
    entry = normalize(decode_config_entry(ingress(listener("HTTP"), listener(""))))
    assert isinstance(entry, IngressGateway)
    assert [listener.protocol for listener in entry.listeners] == ["http", "tcp"]


@pytest.mark.parametrize(
    "entry",
    [
        {"Kind": "ingress-gateway"},
        ingress(listener("tcp", {"Name": "db"}), listener("grpc", {"Name": "*"}, port=81)),
        ingress(listener("http", {"Name": "a", "Hosts": ["a.example"]}, {"Name": "b"})),
        ingress(with_hosts("*", "*.example.com", "example.com.", "localhost")),
        ingress(with_hosts("*.example.com"), tls=True),
    ],
)
def test_ingress_gateways_that_are_accepted(entry: dict[str, Any]) -> None:
    accept(entry)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            ingress(listener("tcp", {"Name": "a"}), listener("tcp", {"Name": "b"})),
            "port 80 declared on two listeners",
        ),
        (
            ingress(listener("udp", {"Name": "a"})),
            "protocol must be 'tcp', 'http', 'http2', or 'grpc'. 'udp' is an unsupported protocol",
        ),
        (ingress(listener("tcp")), "No service declared for listener with port 80"),
        (
            ingress(listener("grpc", {"Name": "a"}, {"Name": "b"})),
            "Multiple services per listener are only supported for protocol = 'http' (listener on port 80)",
        ),
        (
            ingress(listener("tcp", {"Name": "*"})),
            "Wildcard service name is only valid for protocol = 'http' (listener on port 80)",
        ),
        (
            ingress(listener("tcp", {"Name": "a", "Hosts": ["a"]})),
            "Associating hosts to a service is not supported for the tcp protocol (listener on port 80)",
        ),
        (ingress(listener("http", {"Name": ""})), "Service name cannot be blank (listener on port 80)"),
        (
            ingress(listener("http", {"Name": "*", "Hosts": ["a"]})),
            "Associating hosts to a wildcard service is not supported (listener on port 80)",
        ),
        (
            ingress(listener("http", {"Name": "a"}, {"Name": "a"})),
            "Service a cannot be added multiple times (listener on port 80)",
        ),
        (
            ingress(listener("http", {"Name": "a", "Hosts": ["x"]}, {"Name": "b", "Hosts": ["x"]})),
            "Hosts must be unique within a specific listener (listener on port 80)",
        ),
        (ingress(with_hosts("a..b")), 'Host "a..b" must be a valid DNS hostname'),
        (ingress(with_hosts("")), 'Host "" must be a valid DNS hostname'),
        (ingress(with_hosts("a" * 64)), f'Host "{"a" * 64}" must be a valid DNS hostname'),
        (
            ingress(with_hosts("a.*.b")),
            'Host "a.*.b" is not valid, a wildcard specifier is only allowed as the leftmost label',
        ),
        (
            ingress(with_hosts("*"), tls=True),
            "Host '*' is not allowed when TLS is enabled, "
            "all hosts must be valid DNS records to add as a DNSSAN",
        ),
    ],
)
def test_ingress_gateways_that_are_refused(entry: dict[str, Any], text: str) -> None:
    assert refusal_of(entry) == text


def terminating(*services: dict[str, Any]) -> dict[str, Any]:
    return {"Kind": "terminating-gateway", "Name": "gw", "Services": list(services)}


@pytest.mark.parametrize(
    "entry",
    [
        terminating(),
        terminating({"Name": "*"}, {"Name": "db", "CAFile": "ca.pem", "SNI": "db.example"}),
        terminating({"Name": "db", "ca_file": "ca.pem", "cert_file": "c.pem", "key_file": "k.pem"}),
    ],
)
def test_terminating_gateways_that_are_accepted(entry: dict[str, Any]) -> None:
    accept(entry)


@pytest.mark.parametrize(
    ("services", "text"),
    [
        ([{"CAFile": "ca.pem"}], "Service name cannot be blank."),
        ([{"Name": "a"}, {"Name": "a"}], 'Service "a" was specified more than once within a namespace'),
        (
            [{"Name": "a", "CAFile": "ca.pem", "KeyFile": "k.pem"}],
            'Service "a" must have a CertFile, CAFile, and KeyFile specified for TLS origination',
        ),
    ],
)
def test_terminating_gateways_that_are_refused(services: list[dict[str, Any]], text: str) -> None:
    assert refusal_of(terminating(*services)) == text
