"""The rules of proxy-defaults, service-defaults and mesh entries."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model.config_entries import ConfigEntryError, decode_config_entry, normalize, validate
from pellucid.model.config_entries.proxy_defaults import ProxyDefaults
from pellucid.model.config_entries.service_defaults import ServiceDefaults


def accept(data: dict[str, Any]) -> None:
    validate(normalize(decode_config_entry(data)))


def refusal_of(data: dict[str, Any]) -> str:
    with pytest.raises(ConfigEntryError) as refusal:
        accept(data)
    return str(refusal.value)


def service_defaults(**fields: Any) -> dict[str, Any]:
    return {"Kind": "service-defaults", "Name": "web", **fields}


def test_proxy_defaults_are_global_whatever_their_name() -> None:
    entry = normalize(ProxyDefaults(name="other"))
    assert entry.name == "global"
    validate(entry)


def test_proxy_defaults_under_another_name_are_refused() -> None:
    with pytest.raises(ConfigEntryError) as refusal:
        validate(ProxyDefaults(name="x"))
    assert str(refusal.value) == 'invalid name ("x"), only "global" is supported'


def test_protocols_are_lower_cased_and_negative_timeouts_are_none() -> None:
    entry = normalize(
        decode_config_entry(
            service_defaults(
                Protocol="GRPC",
                UpstreamConfig={
                    "Defaults": {"Protocol": "HTTP"},
                    "Overrides": [{"Name": "db", "ConnectTimeoutMs": -1}],
                },
            )
        )
    )
    assert isinstance(entry, ServiceDefaults)
    assert entry.upstream_config is not None
    assert entry.upstream_config.defaults is not None
    assert (entry.protocol, entry.upstream_config.defaults.protocol) == ("grpc", "http")
    assert entry.upstream_config.overrides[0].connect_timeout_ms == 0


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Protocol": "anything"},
        {"Mode": "anything", "MeshGateway": {"Mode": "anything"}},
        {"UpstreamConfig": {"Overrides": [{"Name": "db"}, {"Name": "db"}]}},
        {"UpstreamConfig": {"Defaults": {"Limits": {"MaxConnections": 0}}}},
        {"Meta": {"k" * 128: "v" * 512}},
    ],
)
def test_what_consul_does_not_check_passes(fields: dict[str, Any]) -> None:
    accept(service_defaults(**fields))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"Name": ""}, "Name is required"),
        (
            {"Name": "*"},
            "service-defaults name must be the name of a service, and not a wildcard",
        ),
        (
            {"UpstreamConfig": {"Overrides": [{"Protocol": "http"}]}},
            "1 error occurred:\n\t* error in upstream override for : Name is required\n\n",
        ),
        (
            {"UpstreamConfig": {"Overrides": [{"Name": "*"}], "Defaults": {"Name": "db"}}},
            "2 errors occurred:\n\t* error in upstream override for *: Wildcard name is not supported\n"
            "\t* error in upstream defaults: Name must be empty\n\n",
        ),
        (
            {"UpstreamConfig": {"Defaults": {"Limits": {"MaxConnections": -1, "MaxPendingRequests": -1}}}},
            "1 error occurred:\n\t* error in upstream defaults: "
            "1 error occurred:\n\t* max connections cannot be negative\n\n\n\n",
        ),
        (
            {
                "UpstreamConfig": {
                    "Overrides": [
                        {
                            "Name": "db",
                            "Limits": {"MaxConcurrentRequests": -1},
                            "PassiveHealthCheck": {"Interval": "-1s"},
                        }
                    ]
                }
            },
            "1 error occurred:\n\t* error in upstream override for db: 2 errors occurred:\n"
            "\t* passive health check interval cannot be negative\n"
            "\t* max concurrent requests cannot be negative\n\n\n\n",
        ),
    ],
)
def test_service_defaults_that_are_refused(fields: dict[str, Any], text: str) -> None:
    assert refusal_of(service_defaults(**fields)) == text


@pytest.mark.parametrize("kind", ["proxy-defaults", "service-defaults", "mesh", "ingress-gateway"])
def test_meta_has_limits_in_every_kind(kind: str) -> None:
    name = {} if kind == "mesh" else {"Name": "x"}
    assert refusal_of({"Kind": kind, **name, "Meta": {str(n): "" for n in range(65)}}) == (
        "1 error occurred:\n\t* Meta exceeds maximum element count 64\n\n"
    )
    key, value = "é" * 65, "v" * 513
    assert refusal_of({"Kind": kind, **name, "Meta": {key: value}}) == (
        f'2 errors occurred:\n\t* Meta key "{key}" exceeds maximum length 128\n'
        f'\t* Meta value for key "{key}" exceeds maximum length 512\n\n'
    )
