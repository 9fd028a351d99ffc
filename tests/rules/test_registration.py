"""What a service registration comes to, and which are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model import go_json
from pellucid.model.checks import CheckDefinition, CheckStatus
from pellucid.model.definitions import (
    CheckType,
    ConnectDefinition,
    ServiceDefinition,
)
from pellucid.model.services import Proxy, ServiceAddress, ServiceKind, Upstream, Weights
from pellucid.model.wire import fields_of
from pellucid.rules.registration import Registration, register
from pellucid.rules.service_definition import RegistrationError
from pellucid.rules.sidecar import SidecarError

KNOWN_KEYS = tuple(
    sorted(
        field.key
        for part in (ServiceDefinition, Proxy, Upstream, ConnectDefinition, CheckType)
        for field in fields_of(part)
    )
)
"""Names of fields, at whatever depth they belong."""


def registered(definition: Mapping[str, Any], ports_in_use: Mapping[str, int] | None = None) -> Registration:
    """Register a definition as a client would send it."""
    decoded = go_json.decode(json.dumps(definition), ServiceDefinition)
    return register(decoded, node="n1", ports_in_use=ports_in_use or {})


def refusal(definition: Mapping[str, Any]) -> str:
    with pytest.raises(RegistrationError) as refused:
        registered(definition)
    return str(refused.value)


def proxy(**fields: Any) -> dict[str, Any]:
    return {
        "Kind": "connect-proxy",
        "Name": "web-proxy",
        "Port": 20000,
        "Proxy": {"DestinationServiceName": "web", **fields},
    }


def upstream(name: str, port: int, **fields: Any) -> dict[str, Any]:
    return {"DestinationName": name, "LocalBindPort": port, **fields}


def one_error(text: str) -> str:
    return f"1 error occurred:\n\t* {text}\n\n"


def test_id_is_the_name_unless_given() -> None:
    assert registered({"Name": "web"}).service.id == "web"
    assert registered({"Name": "web", "ID": "web-1"}).service.id == "web-1"


def test_ip_address_is_tagged_for_its_family() -> None:
    service = registered({"Name": "web", "Address": "10.0.0.10", "Port": 80}).service
    own = ServiceAddress("10.0.0.10", 80)
    assert service.tagged_addresses == {"lan_ipv4": own, "wan_ipv4": own}
    assert set(registered({"Name": "web", "Address": "fd00::1"}).service.tagged_addresses or ()) == {
        "lan_ipv6",
        "wan_ipv6",
    }


def test_tagged_addresses_given_are_kept() -> None:
    given = {"wan_ipv4": {"Address": "198.51.100.1", "Port": 8080}, "virtual": {"Address": "10.96.0.5"}}
    service = registered(
        {"Name": "web", "Address": "10.0.0.10", "Port": 80, "TaggedAddresses": given}
    ).service
    assert service.tagged_addresses == {
        "lan_ipv4": ServiceAddress("10.0.0.10", 80),
        "wan_ipv4": ServiceAddress("198.51.100.1", 8080),
        "virtual": ServiceAddress("10.96.0.5", 0),
    }


def test_host_name_is_not_tagged() -> None:
    assert registered({"Name": "web", "Address": "web.example"}).service.tagged_addresses is None


def test_weights_are_one_unless_given() -> None:
    assert registered({"Name": "web"}).service.weights == Weights(1, 1)
    assert registered({"Name": "web", "Weights": {"Passing": 10}}).service.weights == Weights(10, 0)


def test_upstreams_are_of_type_service_unless_said() -> None:
    (made,) = registered(proxy(Upstreams=[upstream("db", 1234)])).service.proxy.upstreams
    assert made.destination_type == "service"


def test_mode_is_not_judged_here() -> None:
    assert registered(proxy(Mode="bogus")).service.proxy.mode == "bogus"


def test_first_spelling_of_transparent_mode_is_understood() -> None:
    assert registered(proxy(TransparentProxy=True)).service.proxy.mode == "transparent"


def test_single_check_is_named_after_its_service() -> None:
    (check,) = registered({"Name": "web", "Check": {"TTL": "10s"}}).checks
    assert (check.check_id, check.name, check.status) == (
        "service:web",
        "Service 'web' check",
        CheckStatus.CRITICAL,
    )


def test_several_checks_are_numbered_and_may_bring_their_own_id() -> None:
    checks = registered(
        {
            "Name": "web",
            "Checks": [
                {"TTL": "10s"},
                {"CheckID": "mine", "Name": "Mine", "TTL": "10s", "Status": "passing"},
            ],
            "Check": {"HTTP": "http://localhost/", "Interval": "1ms", "DeregisterCriticalServiceAfter": "1s"},
        }
    ).checks
    assert [check.check_id for check in checks] == ["service:web:1", "mine", "service:web:3"]
    assert (checks[1].name, checks[1].status) == ("Mine", CheckStatus.PASSING)


def test_intervals_are_raised_to_what_is_sensible() -> None:
    (check,) = registered(
        {
            "Name": "web",
            "Check": {
                "HTTP": "http://localhost/",
                "Interval": "1ms",
                "DeregisterCriticalServiceAfter": "1s",
            },
        }
    ).checks
    assert check.interval_ns == 1_000_000_000
    assert check.deregister_critical_service_after_ns == 60_000_000_000


def test_check_belongs_to_its_service_and_node() -> None:
    (check,) = registered({"Name": "web", "ID": "web-1", "Check": {"AliasNode": "n2"}}).checks
    assert check == CheckDefinition(
        node="n1",
        check_id="service:web-1",
        name="Service 'web' check",
        service_id="web-1",
        alias_node="n2",
    )


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        ({"ID": "x"}, "Missing service name"),
        ({"Name": "bad", "Address": "0.0.0.0"}, "Invalid service address"),
        ({"Name": "bad", "Address": "::"}, "Invalid service address"),
        ({"Name": "bad", "Port": 65536}, "Invalid service port: 65536 is not between 0 and 65535"),
        ({"Name": "bad", "Port": -1}, "Invalid service port: -1 is not between 0 and 65535"),
        (
            {"Name": "bad", "Weights": {"Passing": 0}},
            "Invalid Weights: Passing must be greater than 0",
        ),
        (
            {"Name": "bad", "Weights": {"Passing": 1, "Warning": -1}},
            "Invalid Weights: Warning must be greater or equal than 0",
        ),
        (
            {"Name": "bad", "Weights": {"Passing": 65536}},
            "Invalid Weights: DNS Weight must be between 0 and 65535",
        ),
        (
            {"Name": "bad", "Meta": {"a b": "c"}},
            "Invalid Service Meta: Couldn't load metadata pair ('a b', 'c'): Key contains invalid characters",
        ),
        (
            {"Name": "bad", "Meta": {"consul-x": "c"}},
            "Invalid Service Meta: Couldn't load metadata pair ('consul-x', 'c'): "
            "Key prefix 'consul-' is reserved for internal use",
        ),
        (
            {"Name": "bad", "Kind": "sidecar"},
            'Invalid service kind: "sidecar" is none of "", "connect-proxy", "mesh-gateway", '
            '"terminating-gateway", "ingress-gateway"',
        ),
        (
            {"Name": "bad", "Check": {"Interval": "10s"}},
            "Invalid check: TTL must be > 0 for TTL checks",
        ),
        (
            {"Name": "bad", "Check": {"TTL": "10s", "Status": "meh"}},
            "Status for checks must 'passing', 'warning', 'critical'",
        ),
    ],
)
def test_refused_with_consuls_text(definition: dict[str, Any], text: str) -> None:
    assert refusal(definition) == text


def test_mesh_gateways_may_carry_the_reserved_key_of_federation() -> None:
    gateway = {"Name": "gw", "Kind": "mesh-gateway", "Port": 1, "Meta": {"consul-wan-federation": "1"}}
    assert registered(gateway).service.kind is ServiceKind.MESH_GATEWAY


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        (
            {"Kind": "connect-proxy", "Name": "p", "Port": 1},
            "Proxy.DestinationServiceName must be non-empty for Connect proxy services",
        ),
        (
            proxy(DestinationServiceName="*"),
            "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services",
        ),
        ({**proxy(), "Port": 0}, "Port or SocketPath must be set for a Connect proxy"),
        (
            {**proxy(), "Connect": {"Native": True}},
            "A Proxy cannot also be Connect Native, only typical services",
        ),
        (
            proxy(Upstreams=[upstream("db", 1, DestinationType="x")]),
            'unknown upstream destination type: "x"',
        ),
        (proxy(Upstreams=[upstream("", 1)]), "upstream destination name cannot be empty"),
        (proxy(Upstreams=[upstream("*", 1)]), "upstream destination name cannot be a wildcard"),
        (
            proxy(Upstreams=[upstream("db", 0)]),
            "upstream local bind port or local socket path must be defined and nonzero",
        ),
        (
            proxy(Upstreams=[upstream("db", 1, LocalBindSocketPath="/s")]),
            "only one of upstream local bind port or local socket path can be defined and nonzero",
        ),
        (
            proxy(Upstreams=[upstream("db", 70000)]),
            "Invalid upstream local bind port: 70000 is not between 0 and 65535",
        ),
        (
            proxy(Upstreams=[upstream("a", 1), upstream("a", 2)]),
            'upstreams cannot contain duplicates of [type="service", name="a", namespace="", datacenter=""]',
        ),
        (
            proxy(Upstreams=[upstream("a", 1234), upstream("b", 1234)]),
            "upstreams cannot contain duplicates by local bind address and port or unix path; "
            '"127.0.0.1:1234" is specified twice',
        ),
        (
            proxy(Expose={"Paths": [{"ListenerPort": 1, "LocalPathPort": 2}]}),
            "expose.paths: empty path exposed",
        ),
        (
            proxy(Expose={"Paths": [{"Path": "/a", "ListenerPort": 1}, {"Path": "/b", "ListenerPort": 1}]}),
            "expose.paths: duplicate listener ports exposed",
        ),
        (
            proxy(Expose={"Paths": [{"Path": "/a", "ListenerPort": 0}]}),
            "expose.paths: invalid listener port: 0",
        ),
        (
            proxy(Expose={"Paths": [{"Path": "/p", "ListenerPort": 1, "Protocol": "x"}]}),
            "protocol 'x' not supported for path: /p, must be in: [http http2]",
        ),
        ({"Kind": "mesh-gateway", "Name": "gw"}, "Port must be non-zero for a mesh-gateway"),
        (
            {"Kind": "ingress-gateway", "Name": "gw", "Proxy": {"DestinationServiceName": "web"}},
            "The Proxy.DestinationServiceName configuration is invalid for a ingress-gateway",
        ),
        (
            {"Kind": "terminating-gateway", "Name": "gw", "Port": 1, "Connect": {"SidecarService": {}}},
            "A terminating-gateway cannot have a sidecar service defined",
        ),
        (
            {"Name": "web", "Connect": {"SidecarService": {"ID": "x"}}},
            "A SidecarService cannot specify an ID as this is managed by the agent",
        ),
        (
            {"Name": "web", "Connect": {"SidecarService": {"Connect": {"SidecarService": {}}}}},
            "A SidecarService cannot have a nested SidecarService",
        ),
    ],
)
def test_parts_that_do_not_fit_together(definition: dict[str, Any], text: str) -> None:
    assert refusal(definition) == one_error(text)


def test_one_path_may_be_exposed_at_several_ports() -> None:
    paths = [{"Path": "/healthz", "ListenerPort": 20300}, {"Path": "/healthz", "ListenerPort": 20400}]
    assert registered(proxy(Expose={"Paths": paths}))


def test_all_structural_faults_are_told_at_once() -> None:
    assert refusal({"Kind": "connect-proxy", "Name": "p", "Connect": {"Native": True}}).startswith(
        "3 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty"
    )


def test_fault_of_the_sidecar_is_told_apart() -> None:
    definition = {"Name": "web", "Connect": {"SidecarService": {"Check": {"TTL": "0s", "Interval": "1s"}}}}
    with pytest.raises(SidecarError, match="Bad request: Invalid check in sidecar_service: TTL must be > 0"):
        registered(definition)


ODD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(("", "*", "10s", "-1h", "web", "0.0.0.0", "connect-proxy", "passing", "\ud800", "\0")),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KNOWN_KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KNOWN_KEYS), ODD_VALUES).map(lambda fields: {"Name": "web", **fields}))
def test_any_definition_is_registered_or_refused_with_a_reason(definition: dict[str, Any]) -> None:
    try:
        made = registered(definition)
    except (RegistrationError, go_json.GoJsonError) as error:
        reason = str(error)
    else:
        reason = repr(made.service)
    assert reason
