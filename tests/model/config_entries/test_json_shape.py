"""Config entries are shown with the keys, order and omissions of a real Consul 1.10 server.

The bodies are answers recorded from one, with the indexes it gave.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from pellucid.model.config_entries import (
    ConfigEntry,
    Mesh,
    ServiceRouter,
    TerminatingGateway,
    decode_config_entry,
    normalize,
    to_json_object,
)


def shown(entry: ConfigEntry, **indexes: int) -> str:
    return json.dumps(to_json_object(normalize(entry), **indexes))


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        (
            {
                "Kind": "proxy-defaults",
                "Name": "global",
                "Config": {"protocol": "http"},
                "TransparentProxy": {"OutboundListenerPort": 22001},
                "Mode": "transparent",
                "MeshGateway": {"Mode": "local"},
                "Expose": {"Checks": True},
            },
            {
                "Kind": "proxy-defaults",
                "Name": "global",
                "Config": {"protocol": "http"},
                "Mode": "transparent",
                "TransparentProxy": {"OutboundListenerPort": 22001},
                "MeshGateway": {"Mode": "local"},
                "Expose": {"Checks": True},
                "CreateIndex": 51,
                "ModifyIndex": 51,
            },
        ),
        (
            {
                "kind": "service-defaults",
                "name": "static-server",
                "protocol": "http",
                "mesh_gateway": {"mode": "local"},
                "external_sni": "",
                "upstream_config": {"defaults": {"connect_timeout_ms": 5000}},
            },
            {
                "Kind": "service-defaults",
                "Name": "static-server",
                "Protocol": "http",
                "TransparentProxy": {},
                "MeshGateway": {"Mode": "local"},
                "Expose": {},
                "UpstreamConfig": {"Defaults": {"ConnectTimeoutMs": 5000, "MeshGateway": {}}},
                "CreateIndex": 51,
                "ModifyIndex": 51,
            },
        ),
        (
            {"Kind": "mesh", "TransparentProxy": {"MeshDestinationsOnly": True}},
            {
                "Kind": "mesh",
                "TransparentProxy": {"MeshDestinationsOnly": True},
                "CreateIndex": 51,
                "ModifyIndex": 51,
            },
        ),
        (
            {
                "Kind": "service-resolver",
                "Name": "static-server",
                "DefaultSubset": "v1",
                "Subsets": {"v1": {"Filter": "Service.Meta.version == v1"}},
                "ConnectTimeout": "15s",
            },
            {
                "ConnectTimeout": "15s",
                "Kind": "service-resolver",
                "Name": "static-server",
                "DefaultSubset": "v1",
                "Subsets": {"v1": {"Filter": "Service.Meta.version == v1"}},
                "CreateIndex": 51,
                "ModifyIndex": 51,
            },
        ),
        (
            {
                "Kind": "service-splitter",
                "Name": "static-server",
                "Splits": [{"Weight": 90, "ServiceSubset": "v1"}, {"Weight": 10, "Service": "web"}],
            },
            {
                "Kind": "service-splitter",
                "Name": "static-server",
                "Splits": [{"Weight": 90, "ServiceSubset": "v1"}, {"Weight": 10, "Service": "web"}],
                "CreateIndex": 51,
                "ModifyIndex": 51,
            },
        ),
        (
            {
                "Kind": "service-router",
                "Name": "static-server",
                "Routes": [
                    {
                        "Match": {"HTTP": {"PathPrefix": "/admin"}},
                        "Destination": {"Service": "api", "RequestTimeout": "5s"},
                    }
                ],
            },
            {
                "Kind": "service-router",
                "Name": "static-server",
                "Routes": [
                    {
                        "Match": {"HTTP": {"PathPrefix": "/admin"}},
                        "Destination": {"RequestTimeout": "5s", "Service": "api"},
                    }
                ],
                "CreateIndex": 51,
                "ModifyIndex": 51,
            },
        ),
        (
            {
                "Kind": "ingress-gateway",
                "Name": "ingress",
                "Listeners": [{"Port": 8888, "Protocol": "http", "Services": [{"Name": "static-server"}]}],
            },
            {
                "Kind": "ingress-gateway",
                "Name": "ingress",
                "TLS": {"Enabled": False},
                "Listeners": [
                    {
                        "Port": 8888,
                        "Protocol": "http",
                        "Services": [{"Name": "static-server", "Hosts": None}],
                    }
                ],
                "CreateIndex": 51,
                "ModifyIndex": 51,
            },
        ),
        (
            {
                "Kind": "service-intentions",
                "Name": "static-server",
                "Sources": [
                    {"Name": "other", "Action": "allow"},
                    {
                        "Name": "l7",
                        "Permissions": [
                            {
                                "Action": "allow",
                                "HTTP": {
                                    "PathPrefix": "/ok",
                                    "Methods": ["get"],
                                    "Header": [{"Name": "x-a", "Exact": "1"}],
                                },
                            }
                        ],
                    },
                ],
            },
            {
                "Kind": "service-intentions",
                "Name": "static-server",
                "Sources": [
                    {"Name": "other", "Action": "allow", "Precedence": 9, "Type": "consul"},
                    {
                        "Name": "l7",
                        "Permissions": [
                            {
                                "Action": "allow",
                                "HTTP": {
                                    "PathPrefix": "/ok",
                                    "Header": [{"Name": "x-a", "Exact": "1"}],
                                    "Methods": ["GET"],
                                },
                            }
                        ],
                        "Precedence": 9,
                        "Type": "consul",
                    },
                ],
                "CreateIndex": 51,
                "ModifyIndex": 51,
            },
        ),
    ],
    ids=lambda body: body.get("kind") or body["Kind"],
)
def test_a_written_entry_is_shown_as_consul_shows_it(written: dict[str, Any], answer: dict[str, Any]) -> None:
    assert shown(decode_config_entry(written), create_index=51, modify_index=51) == json.dumps(answer)


def test_an_entry_without_indexes_shows_none() -> None:
    assert shown(Mesh()) == '{"Kind": "mesh", "TransparentProxy": {"MeshDestinationsOnly": false}}'


def test_lists_that_were_never_set_are_null() -> None:
    assert to_json_object(ServiceRouter(name="a"))["Routes"] is None
    assert to_json_object(TerminatingGateway(name="a"))["Services"] is None


def test_durations_inside_a_health_check_or_cookie_are_nanoseconds() -> None:
    defaults = decode_config_entry(
        {
            "Kind": "service-defaults",
            "Name": "web",
            "UpstreamConfig": {"Defaults": {"PassiveHealthCheck": {"Interval": "30s", "MaxFailures": 3}}},
        }
    )
    assert to_json_object(defaults)["UpstreamConfig"]["Defaults"]["PassiveHealthCheck"] == {
        "Interval": 30_000_000_000,
        "MaxFailures": 3,
    }
    resolver = decode_config_entry(
        {
            "Kind": "service-resolver",
            "Name": "web",
            "LoadBalancer": {
                "Policy": "maglev",
                "HashPolicies": [
                    {"Field": "cookie", "FieldValue": "id", "CookieConfig": {"TTL": "1s", "Path": "/"}}
                ],
            },
        }
    )
    assert to_json_object(resolver)["LoadBalancer"]["HashPolicies"] == [
        {"Field": "cookie", "FieldValue": "id", "CookieConfig": {"TTL": 1_000_000_000, "Path": "/"}}
    ]


def test_a_limit_of_zero_is_shown_and_an_unset_one_is_not() -> None:
    entry = decode_config_entry(
        {
            "Kind": "service-defaults",
            "Name": "web",
            "UpstreamConfig": {"Overrides": [{"Name": "db", "Limits": {"MaxConnections": 0}}]},
        }
    )
    assert to_json_object(entry)["UpstreamConfig"] == {
        "Overrides": [{"Name": "db", "Limits": {"MaxConnections": 0}, "MeshGateway": {}}]
    }
