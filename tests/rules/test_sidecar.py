"""The sidecar made for a service that asks for one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model import go_json
from pellucid.model.checks import CheckDefinition
from pellucid.model.definitions import ServiceDefinition
from pellucid.model.services import Proxy, Service, ServiceKind, Upstream
from pellucid.rules.registration import Registration, register
from pellucid.rules.sidecar import SidecarError, SidecarPorts, sidecar_port

PORTS = SidecarPorts(21000, 21003)


def with_sidecar(
    sidecar: Mapping[str, Any], ports_in_use: Mapping[str, int] | None = None, **parent: Any
) -> Registration:
    definition = {"Name": "web", "Port": 9090, **parent, "Connect": {"SidecarService": sidecar}}
    decoded = go_json.decode(json.dumps(definition), ServiceDefinition)
    return register(decoded, node="n1", ports_in_use=ports_in_use or {})


def made(sidecar: Mapping[str, Any], ports_in_use: Mapping[str, int] | None = None, **parent: Any) -> Service:
    service = with_sidecar(sidecar, ports_in_use, **parent).sidecar
    assert service is not None
    return service


def test_sidecar_that_says_nothing_but_its_upstreams() -> None:
    upstreams = [{"destination_name": "static-server", "local_bind_port": 1234}]
    assert made({"proxy": {"upstreams": upstreams}}) == Service(
        node="n1",
        id="web-sidecar-proxy",
        name="web-sidecar-proxy",
        kind=ServiceKind.CONNECT_PROXY,
        port=21000,
        proxy=Proxy(
            destination_service_name="web",
            destination_service_id="web",
            local_service_address="127.0.0.1",
            local_service_port=9090,
            upstreams=(Upstream(destination_name="static-server", local_bind_port=1234),),
        ),
        locally_registered_as_sidecar=True,
    )


def test_default_checks_watch_the_listener_and_the_parent() -> None:
    assert with_sidecar({}, ID="web-1").sidecar_checks == (
        CheckDefinition(
            node="n1",
            check_id="service:web-1-sidecar-proxy:1",
            name="Connect Sidecar Listening",
            service_id="web-1-sidecar-proxy",
            tcp="127.0.0.1:21000",
            interval_ns=10_000_000_000,
        ),
        CheckDefinition(
            node="n1",
            check_id="service:web-1-sidecar-proxy:2",
            name="Connect Sidecar Aliasing web-1",
            service_id="web-1-sidecar-proxy",
            alias_service="web-1",
        ),
    )


def test_own_checks_take_the_place_of_the_defaults() -> None:
    (check,) = with_sidecar({"Check": {"TTL": "10s"}}).sidecar_checks
    assert check.check_id == "service:web-sidecar-proxy"


def test_address_tags_and_meta_are_the_parents_unless_given() -> None:
    parent: dict[str, Any] = {"Address": "10.0.0.1", "Tags": ["v1"], "Meta": {"a": "b"}}
    inherited = made({}, **parent)
    assert (inherited.address, inherited.tags, inherited.meta) == ("10.0.0.1", ("v1",), {"a": "b"})
    own = made({"Address": "10.0.0.2", "Tags": ["x"], "Meta": {"c": "d"}}, **parent)
    assert (own.address, own.tags, own.meta) == ("10.0.0.2", ("x",), {"c": "d"})


def test_parent_on_a_socket_is_reached_by_its_socket() -> None:
    proxy = made({}, Port=0, SocketPath="/run/web.sock").proxy
    assert (proxy.local_service_socket_path, proxy.local_service_port) == ("/run/web.sock", 0)


def test_port_given_is_kept() -> None:
    assert made({"Port": 7777}).port == 7777


def test_lowest_port_free_on_this_agent_is_taken() -> None:
    assert made({}, {"a-sidecar-proxy": 21000, "c": 21002}).port == 21001


def test_parents_own_port_is_not_free() -> None:
    assert made({}, Port=21000).port == 21001


def test_sidecar_registered_again_keeps_its_port() -> None:
    assert made({}, {"other": 21000, "web-sidecar-proxy": 21007}).port == 21007


def test_range_used_up() -> None:
    taken = {str(port): port for port in range(21000, 21004)}
    with pytest.raises(SidecarError) as refused:
        sidecar_port("web-sidecar-proxy", taken, PORTS)
    assert str(refused.value) == (
        "no port provided for sidecar_service and none left in the configured range [21000, 21003]"
    )


def test_range_turned_off() -> None:
    with pytest.raises(SidecarError) as refused:
        sidecar_port("web-sidecar-proxy", {}, SidecarPorts(0, 0))
    assert str(refused.value) == (
        "no port provided for sidecar_service and auto-assignment disabled in config"
    )


def test_sidecar_with_a_faulty_upstream_is_refused_whole() -> None:
    with pytest.raises(SidecarError) as refused:
        with_sidecar({"Proxy": {"Upstreams": [{"DestinationName": "db"}]}})
    assert str(refused.value) == (
        "Bad request: Invalid SidecarService: 1 error occurred:\n"
        "\t* upstream local bind port or local socket path must be defined and nonzero\n\n"
    )


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(20999, 21003), max_size=5))
def test_port_chosen_is_free_and_in_range(in_use: dict[str, int]) -> None:
    if len({port for port in in_use.values() if port in range(21000, 21004)}) == 4:
        return
    port = sidecar_port("web-sidecar-proxy", in_use, PORTS)
    assert port in range(21000, 21004)
    assert port not in in_use.values()
