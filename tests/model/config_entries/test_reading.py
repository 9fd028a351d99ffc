"""Config entries are read from JSON and HCL as Consul reads them."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model import hcl
from pellucid.model.config_entries import (
    CONFIG_ENTRY_TYPES,
    ConfigEntryError,
    Mesh,
    ProxyDefaults,
    ServiceDefaults,
    TransparentProxyMeshConfig,
    UpstreamConfig,
    UpstreamConfiguration,
    decode_config_entry,
    normalize,
    require_known_kind,
    to_json_object,
)
from pellucid.model.decoding import DecodeError
from pellucid.model.services import MeshGatewayConfig, TransparentProxyConfig

WALKTHROUGH_DEFAULTS = """\
Kind = "proxy-defaults"
Name = "global"

TransparentProxy = true
"""


def refusal_of(data: dict[str, Any]) -> str:
    with pytest.raises(DecodeError) as refusal:
        decode_config_entry(data)
    return str(refusal.value)


def test_the_kind_decides_what_an_entry_is() -> None:
    assert decode_config_entry({"Kind": "service-defaults", "Name": "web"}) == ServiceDefaults(name="web")
    assert decode_config_entry({"kind": "mesh"}) == Mesh()


def test_snake_case_keys_are_read_at_every_depth() -> None:
    data = {
        "kind": "service-defaults",
        "name": "static-server",
        "protocol": "http",
        "mesh_gateway": {"mode": "local"},
        "external_sni": "",
        "upstream_config": {"defaults": {"connect_timeout_ms": 5000}},
    }
    assert decode_config_entry(data) == ServiceDefaults(
        name="static-server",
        protocol="http",
        mesh_gateway=MeshGatewayConfig("local"),
        upstream_config=UpstreamConfiguration(defaults=UpstreamConfig(connect_timeout_ms=5000)),
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"Name": "x"}, "Payload does not contain a kind/Kind key at the top level"),
        ({"KIND": "mesh"}, "Payload does not contain a kind/Kind key at the top level"),
        ({"Kind": 5}, "Kind value in payload is not a string"),
        ({"Kind": None}, "Kind value in payload is not a string"),
        ({"Kind": "bogus", "Name": "x"}, "invalid config entry kind: bogus"),
        (
            {"Kind": "service-defaults", "Name": "x", "Bogus": 1},
            '1 error occurred:\n\t* invalid config key "Bogus"\n\n',
        ),
        (
            {"Kind": "service-intentions", "Name": "x", "Sources": [{"Name": "y", "Bogus": 1}]},
            '1 error occurred:\n\t* invalid config key "Sources[0].Bogus"\n\n',
        ),
        ({"Kind": "mesh", "Name": "mesh"}, '1 error occurred:\n\t* invalid config key "Name"\n\n'),
        (
            {"Kind": "service-defaults", "Name": "x", "Namespace": "default"},
            '1 error occurred:\n\t* invalid config key "Namespace", namespaces are a consul enterprise '
            "feature\n\n",
        ),
        (
            {"Kind": "service-resolver", "Name": "x", "ConnectTimeout": "10"},
            "1 error(s) decoding:\n\n* error decoding 'ConnectTimeout': "
            'time: missing unit in duration "10"',
        ),
        (
            {"Kind": "service-defaults", "MeshGateway": True},
            "1 error(s) decoding:\n\n* 'MeshGateway' expected a map, got 'bool'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_consuls_words(data: dict[str, Any], text: str) -> None:
    assert refusal_of(data) == text


def test_a_list_is_no_entry() -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_config_entry([{"Kind": "mesh"}])  # type: ignore[arg-type]
    assert str(refusal.value) == "expected a map with a kind/Kind key, got 'slice'"


def test_what_was_read_can_be_written_back() -> None:
    entry = ServiceDefaults(name="web", protocol="http")
    shown = to_json_object(entry, create_index=7, modify_index=9)
    assert decode_config_entry(shown) == entry


def test_the_command_line_may_pass_over_a_namespace() -> None:
    data = {"Kind": "service-defaults", "Name": "web", "Namespace": "default"}
    assert decode_config_entry(data, ignore={"Namespace"}) == ServiceDefaults(name="web")


def test_known_kinds_are_known() -> None:
    require_known_kind("mesh")
    with pytest.raises(ConfigEntryError) as refusal:
        require_known_kind("bogus")
    assert str(refusal.value) == "invalid config entry kind: bogus"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            'Kind="mesh" TransparentProxy { MeshDestinationsOnly = "true" }',
            'kind="mesh" transparent_proxy = { mesh_destinations_only = 1 }',
        ),
        (
            'Kind="service-splitter" Name="a" Splits = { Weight = "100" }',
            'Kind="service-splitter" Name="a" Splits = [{ Weight = 100 }]',
        ),
        (
            'Kind="service-resolver" Name="a" subsets = { v1 = { only_passing = true } }',
            'Kind="service-resolver" Name="a" Subsets { "v1" { OnlyPassing = true } }',
        ),
        (
            'Kind="service-resolver" Name="a" Subsets "v1" { Filter = "x" } Subsets "v2" {}',
            'Kind="service-resolver" Name="a" Subsets { v1 { Filter = "x" } v2 {} }',
        ),
        (
            'Kind="service-intentions" Name="a" Sources { Name="b" Action="deny" } Sources { Name="c" }',
            'Kind="service-intentions" Name="a" Sources = [{ Name="b", Action="deny" }, { Name="c" }]',
        ),
        (
            'Kind="proxy-defaults" Name="global" Config { protocol = "http" }',
            '{"Kind": "proxy-defaults", "Name": "global", "Config": {"protocol": "http"}}',
        ),
    ],
)
def test_spellings_that_mean_the_same(one: str, other: str) -> None:
    entry = decode_config_entry(hcl.parse(one))
    assert entry == decode_config_entry(hcl.parse(other))
    assert entry != CONFIG_ENTRY_TYPES[entry.kind]()


def test_a_mesh_entry_says_whether_traffic_may_leave() -> None:
    entry = decode_config_entry(hcl.parse('Kind="mesh" TransparentProxy { MeshDestinationsOnly = "true" }'))
    assert entry == Mesh(transparent_proxy=TransparentProxyMeshConfig(mesh_destinations_only=True))


def test_the_walkthroughs_defaults_turn_transparent_mode_on() -> None:
    entry = normalize(decode_config_entry(hcl.parse(WALKTHROUGH_DEFAULTS)))
    assert entry == ProxyDefaults(name="global", mode="transparent")
    assert to_json_object(entry) == {
        "Kind": "proxy-defaults",
        "Name": "global",
        "Config": None,
        "Mode": "transparent",
        "TransparentProxy": {},
        "MeshGateway": {},
        "Expose": {},
    }


@pytest.mark.parametrize("kind", ["proxy-defaults", "service-defaults"])
@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({"TransparentProxy": True}, "transparent"),
        ({"transparent_proxy": "true"}, "transparent"),
        ({"TransparentProxy": 1}, "transparent"),
        ({"TransparentProxy": False}, ""),
        ({"TransparentProxy": True, "Mode": "direct"}, "direct"),
        ({"mode": "direct", "transparent_proxy": True}, "direct"),
        ({"TransparentProxy": True, "Mode": ""}, "transparent"),
        ({"TransparentProxy": False, "Mode": "transparent"}, "transparent"),
        ({"Mode": "transparent"}, "transparent"),
        ({}, ""),
    ],
)
def test_a_boolean_transparent_proxy_is_the_mode_unless_a_mode_is_given(
    kind: str, fields: dict[str, Any], mode: str
) -> None:
    entry = decode_config_entry({"Kind": kind, "Name": "x", **fields})
    assert isinstance(entry, ProxyDefaults | ServiceDefaults)
    assert (entry.mode, entry.transparent_proxy) == (mode, TransparentProxyConfig())


def test_a_struct_transparent_proxy_is_itself() -> None:
    text = """
        Kind = "service-defaults"
        Name = "web"
        Mode = "transparent"
        TransparentProxy { OutboundListenerPort = 22001  DialedDirectly = true }
    """
    assert decode_config_entry(hcl.parse(text)) == ServiceDefaults(
        name="web",
        mode="transparent",
        transparent_proxy=TransparentProxyConfig(outbound_listener_port=22001, dialed_directly=True),
    )


def test_text_that_is_no_boolean_is_no_transparent_proxy() -> None:
    assert refusal_of({"Kind": "proxy-defaults", "TransparentProxy": "maybe"}) == (
        "1 error(s) decoding:\n\n* 'TransparentProxy' expected a map, got 'string'"
    )
