"""Which entries may be written or deleted, given all the others."""

from __future__ import annotations

import pytest

from pellucid.model.config_entries import ConfigEntry
from pellucid.rules.chain_graph import EntrySet, check_delete, check_write
from pellucid.rules.chain_nodes import ChainError
from tests.rules.entries import HTTP_BY_DEFAULT, entries, entry, http, redirect, router, splitter, subsets

JUDGED = entry(
    "service-intentions",
    "web",
    Sources=[{"Name": "api", "Permissions": [{"Action": "allow", "HTTP": {"PathPrefix": "/"}}]}],
)


def ingress(protocol: str, service: str = "web") -> ConfigEntry:
    return entry(
        "ingress-gateway",
        "gateway",
        Listeners=[{"Port": 8080, "Protocol": protocol, "Services": [{"Name": service}]}],
    )


def refused_write(before: EntrySet, written: ConfigEntry) -> str:
    with pytest.raises(ChainError) as refused:
        check_write(before, written)
    return str(refused.value)


def refused_delete(before: EntrySet, kind: str, name: str) -> str:
    with pytest.raises(ChainError) as refused:
        check_delete(before, kind, name)
    return str(refused.value)


def mesh_of_the_recording() -> EntrySet:
    """The entries of a recorded session with a Consul 1.10 server, before its refusals."""
    return entries(
        HTTP_BY_DEFAULT,
        http("static-server"),
        subsets("static-server", "v1", DefaultSubset="v1"),
        splitter("static-server", (90, {"ServiceSubset": "v1"}), (10, {"Service": "web"})),
        router("static-server", ("/admin", {"Service": "api"})),
        ingress("http", "static-server"),
    )


def test_wiping_proxy_defaults_is_refused_as_consul_1_10_refused_it() -> None:
    assert refused_write(mesh_of_the_recording(), entry("proxy-defaults", "other")) == (
        'discovery chain "static-server" uses inconsistent protocols; '
        'service "api" has "tcp" which is not "http"'
    )


def test_going_back_to_tcp_is_refused_as_consul_1_10_refused_it() -> None:
    written = entry("service-defaults", "static-server", Protocol="tcp")
    assert refused_write(mesh_of_the_recording(), written) == (
        'discovery chain "static-server" uses inconsistent protocols; '
        'service "api" has "http" which is not "tcp"'
    )


def test_deletions_are_refused_in_the_order_consul_1_10_refused_them() -> None:
    mesh = mesh_of_the_recording()
    for kind in ("service-defaults", "service-router"):
        check_delete(mesh, kind, "static-server")
        mesh = mesh.without(kind, "static-server")
    assert refused_delete(mesh, "proxy-defaults", "global") == (
        'discovery chain "static-server" uses a protocol "tcp" '
        "that does not permit advanced routing or splitting behavior"
    )
    for kind in ("service-splitter", "service-router", "service-resolver"):
        check_delete(mesh, kind, "static-server")
        mesh = mesh.without(kind, "static-server")
    assert refused_delete(mesh, "proxy-defaults", "global") == (
        'service "static-server" has protocol "tcp", which does not match defined listener protocol "http"'
    )


def test_router_before_the_protocol_is_refused() -> None:
    assert "does not permit advanced routing" in refused_write(entries(), router("web", ("/", {})))


def test_protocol_of_a_service_others_split_to_is_held() -> None:
    mesh = entries(HTTP_BY_DEFAULT, splitter("web", (50, {}), (50, {"Service": "api"})))
    written = entry("service-defaults", "api", Protocol="tcp")
    assert refused_write(mesh, written) == (
        'discovery chain "web" uses inconsistent protocols; service "api" has "tcp" which is not "http"'
    )


def test_protocol_is_held_through_several_steps() -> None:
    mesh = entries(
        HTTP_BY_DEFAULT,
        splitter("web", (100, {"Service": "api"})),
        redirect("api", Service="backend"),
    )
    written = entry("service-defaults", "backend", Protocol="tcp")
    assert "inconsistent protocols" in refused_write(mesh, written)


def test_subset_in_use_is_not_deleted() -> None:
    mesh = entries(
        HTTP_BY_DEFAULT,
        subsets("api", "v1"),
        splitter("web", (100, {"Service": "api", "ServiceSubset": "v1"})),
    )
    assert (
        refused_delete(mesh, "service-resolver", "api") == 'service "api" does not have a subset named "v1"'
    )


def test_circle_is_refused_when_it_closes() -> None:
    mesh = entries(redirect("a", Service="b"))
    assert "circular resolver redirect" in refused_write(mesh, redirect("b", Service="a"))


def test_ingress_listener_must_speak_the_services_protocol() -> None:
    assert refused_write(entries(http("web")), ingress("tcp")) == (
        'service "web" has protocol "http", which does not match defined listener protocol "tcp"'
    )


def test_tcp_listener_may_stay_in_front_of_a_service_that_becomes_http() -> None:
    check_write(entries(ingress("tcp")), http("web"))


def test_tcp_listener_may_not_stay_in_front_of_a_router() -> None:
    assert "does not match defined listener protocol" in refused_write(
        entries(http("web"), ingress("tcp")), router("web", ("/", {}))
    )


def test_wildcard_behind_an_ingress_listener_matches_whatever_fits() -> None:
    check_write(entries(), ingress("http", "*"))


def test_permissions_need_a_protocol_with_requests() -> None:
    assert refused_write(entries(), JUDGED) == (
        'service "web" has protocol "tcp", which is incompatible with L7 intentions permissions'
    )
    check_write(entries(http("web")), JUDGED)


def test_protocol_under_permissions_is_held() -> None:
    assert "incompatible with L7 intentions" in refused_write(
        entries(http("web"), JUDGED), entry("service-defaults", "web", Protocol="tcp")
    )
    assert "incompatible with L7 intentions" in refused_delete(
        entries(http("web"), JUDGED), "service-defaults", "web"
    )


def test_intentions_without_permissions_hold_nothing() -> None:
    plain = entry("service-intentions", "web", Sources=[{"Name": "api", "Action": "deny"}])
    check_write(entries(http("web"), plain), entry("service-defaults", "web", Protocol="tcp"))


def test_intentions_may_always_be_deleted() -> None:
    check_delete(entries(http("web"), JUDGED), "service-intentions", "web")


def test_two_kinds_of_gateway_may_not_share_a_name() -> None:
    terminating = entry("terminating-gateway", "gateway", Services=[{"Name": "db"}])
    assert refused_write(entries(terminating), ingress("tcp")) == (
        'cannot create a "ingress-gateway" config entry with name "gateway", '
        'a "terminating-gateway" config entry with that name already exists'
    )


def test_mesh_entry_is_never_in_the_way() -> None:
    check_write(entries(), entry("mesh", TransparentProxy={"MeshDestinationsOnly": True}))
    check_delete(entries(), "mesh", "mesh")


def test_deleting_what_is_not_there_is_no_fault() -> None:
    check_delete(mesh_of_the_recording(), "service-resolver", "unheard-of")


def test_refused_write_changes_nothing() -> None:
    mesh = mesh_of_the_recording()
    refused_write(mesh, entry("proxy-defaults", "global"))
    assert mesh.find("proxy-defaults", "global") == HTTP_BY_DEFAULT
