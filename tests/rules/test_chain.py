"""How the discovery chain of a service is compiled from the entries it meets."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model.durations import SECOND
from pellucid.rules.chain import compile_chain
from pellucid.rules.chain_graph import EntrySet
from pellucid.rules.chain_nodes import ChainError
from pellucid.rules.compiled_chain import CompiledDiscoveryChain, chain_json_object
from pellucid.rules.customization import ChainOverrides
from tests.rules.entries import HTTP_BY_DEFAULT, entries, entry, http, redirect, router, splitter, subsets

TRUST_DOMAIN = "74c1f9fd-ca1e-4003-0aa9-94d231064cc5.consul"


def compiled(service: str, given: EntrySet, **options: Any) -> CompiledDiscoveryChain:
    return compile_chain(service, given.find, datacenter="dc1", trust_domain=TRUST_DOMAIN, **options)


def refusal(service: str, given: EntrySet, **options: Any) -> str:
    with pytest.raises(ChainError) as refused:
        compiled(service, given, **options)
    return str(refused.value)


def target_json(service: str, subset: str = "", datacenter: str = "dc1", **more: Any) -> dict[str, Any]:
    target_id = f"{subset}.{service}.default.{datacenter}".lstrip(".")
    name = f"{target_id}.internal.{TRUST_DOMAIN}"
    return {
        "ID": target_id,
        "Service": service,
        **({"ServiceSubset": subset} if subset else {}),
        "Namespace": "default",
        "Datacenter": datacenter,
        "MeshGateway": {},
        "Subset": {},
        **more,
        "SNI": name,
        "Name": name,
    }


def test_service_nobody_wrote_about_resolves_to_itself() -> None:
    chain = compiled("web", entries())
    assert chain.is_default
    assert chain_json_object(chain) == {
        "ServiceName": "web",
        "Namespace": "default",
        "Datacenter": "dc1",
        "Protocol": "tcp",
        "StartNode": "resolver:web.default.dc1",
        "Nodes": {
            "resolver:web.default.dc1": {
                "Type": "resolver",
                "Name": "web.default.dc1",
                "Resolver": {"ConnectTimeout": "5s", "Default": True, "Target": "web.default.dc1"},
            }
        },
        "Targets": {"web.default.dc1": target_json("web")},
    }


def test_router_splitter_and_resolver_as_consul_1_10_answered() -> None:
    given = entries(
        entry("proxy-defaults", "global", Config={"protocol": "http"}, MeshGateway={"Mode": "local"}),
        entry(
            "service-defaults",
            "static-server",
            Protocol="http",
            MeshGateway={"Mode": "local"},
        ),
        subsets("static-server", "v1", DefaultSubset="v1", ConnectTimeout="15s"),
        splitter("static-server", (90, {"ServiceSubset": "v1"}), (10, {"Service": "web"})),
        router("static-server", ("/admin", {"Service": "api", "RequestTimeout": "5s"})),
    )
    assert chain_json_object(compiled("static-server", given)) == {
        "ServiceName": "static-server",
        "Namespace": "default",
        "Datacenter": "dc1",
        "Protocol": "http",
        "StartNode": "router:static-server.default",
        "Nodes": {
            "resolver:api.default.dc1": {
                "Type": "resolver",
                "Name": "api.default.dc1",
                "Resolver": {"ConnectTimeout": "5s", "Default": True, "Target": "api.default.dc1"},
            },
            "resolver:v1.static-server.default.dc1": {
                "Type": "resolver",
                "Name": "v1.static-server.default.dc1",
                "Resolver": {"ConnectTimeout": "15s", "Target": "v1.static-server.default.dc1"},
            },
            "resolver:web.default.dc1": {
                "Type": "resolver",
                "Name": "web.default.dc1",
                "Resolver": {"ConnectTimeout": "5s", "Default": True, "Target": "web.default.dc1"},
            },
            "router:static-server.default": {
                "Type": "router",
                "Name": "static-server.default",
                "Routes": [
                    {
                        "Definition": {
                            "Match": {"HTTP": {"PathPrefix": "/admin"}},
                            "Destination": {"RequestTimeout": "5s", "Service": "api"},
                        },
                        "NextNode": "resolver:api.default.dc1",
                    },
                    {
                        "Definition": {
                            "Match": {"HTTP": {"PathPrefix": "/"}},
                            "Destination": {"Service": "static-server", "Namespace": "default"},
                        },
                        "NextNode": "splitter:static-server.default",
                    },
                ],
            },
            "splitter:static-server.default": {
                "Type": "splitter",
                "Name": "static-server.default",
                "Splits": [
                    {"Weight": 90, "NextNode": "resolver:v1.static-server.default.dc1"},
                    {"Weight": 10, "NextNode": "resolver:web.default.dc1"},
                ],
            },
        },
        "Targets": {
            "api.default.dc1": target_json("api"),
            "v1.static-server.default.dc1": target_json(
                "static-server", "v1", Subset={"Filter": "Service.Meta.version == v1"}
            ),
            "web.default.dc1": target_json("web"),
        },
    }


def test_overrides_that_differ_mark_the_chain_as_consul_1_10_marks_it() -> None:
    overrides = ChainOverrides(mesh_gateway="remote", protocol="grpc", connect_timeout_ns=7 * SECOND)
    chain = compiled("web", entries(HTTP_BY_DEFAULT), overrides=overrides)
    assert chain.customization_hash == "7cf690e3"
    assert chain.protocol == "grpc"
    assert chain_json_object(chain)["Nodes"]["resolver:web.default.dc1"]["Resolver"]["ConnectTimeout"] == "7s"


def test_overrides_that_change_nothing_leave_no_mark() -> None:
    overrides = ChainOverrides(mesh_gateway="remote", protocol="http", connect_timeout_ns=5 * SECOND)
    chain = compiled("web", entries(HTTP_BY_DEFAULT), overrides=overrides)
    assert chain == compiled("web", entries(HTTP_BY_DEFAULT))


def test_override_to_a_protocol_without_requests_hides_router_and_splitter() -> None:
    given = entries(
        HTTP_BY_DEFAULT, router("web", ("/", {"Service": "api"})), splitter("web", (100, {"Service": "api"}))
    )
    chain = compiled("web", given, overrides=ChainOverrides(protocol="tcp"))
    assert (chain.start_node, chain.protocol) == ("resolver:web.default.dc1", "tcp")
    assert chain.customization_hash


def test_other_datacenter_goes_through_the_mesh_gateways_of_proxy_defaults() -> None:
    given = entries(entry("proxy-defaults", "global", MeshGateway={"Mode": "local"}))
    chain = compile_chain(
        "web", given.find, datacenter="dc2", use_in_datacenter="dc1", trust_domain=TRUST_DOMAIN
    )
    assert chain.targets["web.default.dc2"].mesh_gateway.mode == "local"


def test_service_defaults_say_first_through_which_mesh_gateways() -> None:
    given = entries(
        entry("proxy-defaults", "global", MeshGateway={"Mode": "local"}),
        entry("service-defaults", "web", MeshGateway={"Mode": "none"}),
        redirect("web", Datacenter="dc2"),
    )
    chain = compiled("web", given)
    assert chain.targets["web.default.dc2"].mesh_gateway.mode == "none"


def test_override_of_mesh_gateway_mode_wins_for_other_datacenters() -> None:
    given = entries(redirect("web", Datacenter="dc2"))
    chain = compiled("web", given, overrides=ChainOverrides(mesh_gateway="remote"))
    assert chain.targets["web.default.dc2"].mesh_gateway.mode == "remote"
    assert chain.customization_hash


def test_splitter_before_splitter_becomes_one() -> None:
    given = entries(
        http("a"),
        http("b"),
        splitter("a", (60, {"Service": "b"}), (40, {})),
        splitter("b", (50, {"ServiceSubset": "v1"}), (50, {"ServiceSubset": "v2"})),
        subsets("b", "v1", "v2"),
    )
    chain = compiled("a", given)
    assert [(split.weight, split.next_node) for split in chain.start.splits] == [
        (30, "resolver:v1.b.default.dc1"),
        (30, "resolver:v2.b.default.dc1"),
        (40, "resolver:a.default.dc1"),
    ]
    assert "splitter:b.default" not in chain.nodes


def test_split_to_a_subset_passes_the_other_splitter_by() -> None:
    given = entries(
        http("a"),
        http("b"),
        splitter("a", (100, {"Service": "b", "ServiceSubset": "v1"})),
        splitter("b", (100, {"ServiceSubset": "v2"})),
        subsets("b", "v1", "v2"),
    )
    assert compiled("a", given).start.next_nodes == ("resolver:v1.b.default.dc1",)


def test_route_to_a_subset_passes_the_splitter_by() -> None:
    given = entries(
        http("web"),
        router("web", ("/v2", {"ServiceSubset": "v2"})),
        splitter("web", (100, {"ServiceSubset": "v1"})),
        subsets("web", "v1", "v2"),
    )
    assert compiled("web", given).start.next_nodes == (
        "resolver:v2.web.default.dc1",
        "splitter:web.default",
    )


def test_first_hash_based_balancer_is_the_splitters() -> None:
    ring_hash = {"Policy": "ring_hash"}
    given = entries(
        http("web"),
        http("a"),
        http("b"),
        splitter("web", (50, {"Service": "a"}), (50, {"Service": "b"})),
        entry("service-resolver", "a", LoadBalancer={"Policy": "least_request"}),
        entry("service-resolver", "b", LoadBalancer=ring_hash),
    )
    balancer = compiled("web", given).start.load_balancer
    assert balancer is not None
    assert balancer.policy == "ring_hash"


def test_redirect_is_followed_and_keeps_the_protocol() -> None:
    chain = compiled("old", entries(HTTP_BY_DEFAULT, redirect("old", Service="new")))
    assert chain.start_node == "resolver:new.default.dc1"
    assert not chain.is_default


def test_redirect_to_another_service_does_not_keep_the_subset() -> None:
    given = entries(
        HTTP_BY_DEFAULT,
        splitter("web", (100, {"Service": "old", "ServiceSubset": "v1"})),
        redirect("old", Service="new"),
    )
    assert compiled("web", given).start.next_nodes == ("resolver:new.default.dc1",)


def test_redirect_to_another_datacenter_keeps_the_subset() -> None:
    given = entries(
        HTTP_BY_DEFAULT,
        splitter("web", (100, {"ServiceSubset": "v1"})),
        subsets("web", "v1", Redirect={"Datacenter": "dc2"}),
    )
    assert compiled("web", given).start.next_nodes == ("resolver:v1.web.default.dc2",)


def test_default_subset_stands_in_for_none() -> None:
    chain = compiled("web", entries(subsets("web", "v1", DefaultSubset="v1")))
    assert chain.start_node == "resolver:v1.web.default.dc1"


def test_unknown_subset_is_refused() -> None:
    given = entries(http("web"), splitter("web", (100, {"ServiceSubset": "v9"})))
    assert refusal("web", given) == 'service "web" does not have a subset named "v9"'


def test_circular_redirect_is_refused_with_its_way() -> None:
    given = entries(redirect("a", Service="b"), redirect("b", Service="a"))
    assert refusal("a", given) == (
        "detected circular resolver redirect: [a.default.dc1 -> b.default.dc1 -> a.default.dc1]"
    )


def test_circular_splitters_are_refused_with_their_way() -> None:
    given = entries(
        http("a"), http("b"), splitter("a", (100, {"Service": "b"})), splitter("b", (100, {"Service": "a"}))
    )
    assert refusal("a", given) == (
        "detected circular reference: [splitter:a.default -> splitter:b.default -> splitter:a.default]"
    )


def test_service_may_be_split_to_from_two_sides() -> None:
    given = entries(
        HTTP_BY_DEFAULT,
        splitter("web", (50, {"Service": "a"}), (50, {"Service": "b"})),
        splitter("a", (100, {"Service": "shared"})),
        splitter("b", (100, {"Service": "shared"})),
    )
    assert {split.next_node for split in compiled("web", given).start.splits} == {
        "resolver:shared.default.dc1"
    }


def test_failover_names_datacenters_in_order_and_leaves_itself_out() -> None:
    given = entries(entry("service-resolver", "web", Failover={"*": {"Datacenters": ["dc3", "dc1", "dc2"]}}))
    chain = compiled("web", given)
    resolver = chain.start.resolver
    assert resolver is not None
    assert resolver.failover is not None
    assert resolver.failover.targets == ("web.default.dc3", "web.default.dc2")
    assert set(chain.targets) == {"web.default.dc1", "web.default.dc3", "web.default.dc2"}


def test_failover_only_to_itself_is_none() -> None:
    chain = compiled(
        "web", entries(entry("service-resolver", "web", Failover={"*": {"Datacenters": ["dc1"]}}))
    )
    assert chain.start.resolver is not None
    assert chain.start.resolver.failover is None


def test_failover_of_the_subset_goes_before_that_of_all() -> None:
    given = entries(
        subsets(
            "web",
            "v1",
            DefaultSubset="v1",
            Failover={"*": {"Service": "other"}, "v1": {"Service": "backup"}},
        )
    )
    resolver = compiled("web", given).start.resolver
    assert resolver is not None
    assert resolver.failover is not None
    assert resolver.failover.targets == ("backup.default.dc1",)


def test_failover_target_is_redirected_but_does_not_fail_over_again() -> None:
    given = entries(
        entry("service-resolver", "web", Failover={"*": {"Service": "old"}}),
        redirect("old", Service="new"),
        entry("service-resolver", "new", Failover={"*": {"Service": "web"}}),
    )
    chain = compiled("web", given)
    assert chain.start.resolver is not None
    assert chain.start.resolver.failover is not None
    assert chain.start.resolver.failover.targets == ("new.default.dc1",)
    assert set(chain.nodes) == {"resolver:web.default.dc1"}


def test_two_services_may_fail_over_to_each_other() -> None:
    given = entries(
        entry("service-resolver", "a", Failover={"*": {"Service": "b"}}),
        entry("service-resolver", "b", Failover={"*": {"Service": "a"}}),
    )
    assert set(compiled("a", given).targets) == {"a.default.dc1", "b.default.dc1"}


def test_external_sni_names_the_target() -> None:
    chain = compiled("web", entries(entry("service-defaults", "web", ExternalSNI="web.example.com")))
    target = chain.targets["web.default.dc1"]
    assert (target.external, target.sni) == (True, "web.example.com")


@pytest.mark.parametrize(
    ("resolver", "what"),
    [
        ({"Subsets": {"v1": {}}}, "subsets"),
        ({"Failover": {"*": {"Datacenters": ["dc2"]}}}, "failover"),
    ],
)
def test_external_service_is_not_shaped(resolver: dict[str, Any], what: str) -> None:
    given = entries(
        entry("service-defaults", "web", ExternalSNI="web.example.com"),
        entry("service-resolver", "web", **resolver),
    )
    assert refusal("web", given) == (
        f'service "web" has an external SNI set; cannot define {what} for external services'
    )


def test_services_of_a_chain_speak_one_protocol() -> None:
    given = entries(http("web"), router("web", ("/api", {"Service": "api"})))
    assert refusal("web", given) == (
        'discovery chain "web" uses inconsistent protocols; service "api" has "tcp" which is not "http"'
    )


def test_routing_needs_a_protocol_with_requests() -> None:
    given = entries(splitter("web", (100, {})))
    assert refusal("web", given) == (
        'discovery chain "web" uses a protocol "tcp" '
        "that does not permit advanced routing or splitting behavior"
    )


def test_service_defaults_without_a_protocol_inherit_in_the_chain_too() -> None:
    given = entries(HTTP_BY_DEFAULT, entry("service-defaults", "web"))
    assert compiled("web", given).protocol == "http"


def test_endless_splitters_are_refused_and_not_followed() -> None:
    links = [splitter(f"s{n}", (100, {"Service": f"s{n + 1}"})) for n in range(2000)]
    assert refusal("s0", entries(HTTP_BY_DEFAULT, *links)) == 'discovery chain "s0" is nested too deeply'
