"""What each proxy is to have, what of it is shared, and what a change touches."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from google.protobuf import wrappers_pb2

from pellucid.derive.identity import leaf_cell
from pellucid.model.checks import CheckStatus, HealthCheck
from pellucid.model.config_entries import Mesh as MeshEntry
from pellucid.model.config_entries import ProxyDefaults, ServiceDefaults, UpstreamConfig
from pellucid.model.config_entries.mesh import TransparentProxyMeshConfig
from pellucid.model.config_entries.shared import UpstreamConfiguration, UpstreamLimits
from pellucid.model.services import (
    ExposeConfig,
    ExposePath,
    Proxy,
    ServiceAddress,
    ServiceKind,
    TransparentProxyConfig,
    Upstream,
)
from pellucid.state.mesh_tables import CHECKS, CONFIG_ENTRIES, SERVICES
from pellucid.state.tables import Put
from pellucid.xds.configuration import NotASidecarError, refs, resource
from pellucid.xds.lookup import NotYetError
from pellucid.xds.shared import SharedResource
from pellucid.xds.types import ResourceType
from tests.xds.mesh import CLUSTER_ID, NODE, Mesh

TRUST_DOMAIN = f"{CLUSTER_ID}.consul"
OUTBOUND = "outbound_listener:127.0.0.1:15001"


def transparent(name: str, **settings: Any) -> Proxy:
    return Proxy(destination_service_name=name, local_service_port=8080, mode="transparent", **settings)


def sni(service: str) -> str:
    return f"{service}.default.dc1.internal.{TRUST_DOMAIN}"


def names(mesh: Mesh, service: str, resource_type: ResourceType) -> set[str]:
    found = mesh.engine.ask(refs, (NODE, f"{service}-sidecar-proxy", str(resource_type)))
    return set(found.by_name)


def one(mesh: Mesh, service: str, resource_type: ResourceType, name: str) -> SharedResource:
    found = mesh.engine.ask(refs, (NODE, f"{service}-sidecar-proxy", str(resource_type)))
    built: SharedResource = mesh.engine.ask(resource, (found.by_name[name],))
    return built


def versions(mesh: Mesh, service: str) -> dict[tuple[str, str], str]:
    """The version of everything a proxy is to have."""
    return {
        (resource_type.name, name): one(mesh, service, resource_type, name).version
        for resource_type in ResourceType
        for name in names(mesh, service, resource_type)
    }


def changed(mesh: Mesh, service: str, before: dict[tuple[str, str], str]) -> set[tuple[str, str]]:
    """What is different from then, was added, or is gone."""
    now = versions(mesh, service)
    return {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}


def cluster(mesh: Mesh, service: str, name: str) -> Any:
    return cluster_pb2.Cluster.FromString(one(mesh, service, ResourceType.CLUSTER, name).body)


def outbound(mesh: Mesh, service: str) -> Any:
    return listener_pb2.Listener.FromString(one(mesh, service, ResourceType.LISTENER, OUTBOUND).body)


def chains(listener: Any) -> dict[str, str]:
    """`address` or `address:port` -> the filter that takes it, without its namespace; `any` for the rest."""
    filter_of = {chain.name: chain.filters[0].name.rpartition(".")[2] for chain in listener.filter_chains}
    found = dict.fromkeys(["any"] * listener.HasField("default_filter_chain"), "tcp_proxy")
    for ip, chosen in listener.filter_chain_matcher.matcher_tree.exact_match_map.map.items():
        if chosen.HasField("action"):
            found[ip] = filter_of[taken(chosen)]
        for port, on_port in chosen.matcher.matcher_tree.exact_match_map.map.items():
            found[f"{ip}:{port}"] = filter_of[taken(on_port)]
    return found


def taken(on_match: Any) -> str:
    """The name of the chain that an action takes."""
    name = wrappers_pb2.StringValue()
    on_match.action.typed_config.Unpack(name)
    return str(name.value)


@pytest.fixture
def mesh() -> Mesh:
    """Three services with transparent sidecars that may all call each other."""
    made = Mesh()
    for number, name in enumerate(("api", "db", "web"), start=1):
        made.register(name, proxy=transparent(name), number=number)
    return made


# What there is


def test_a_transparent_sidecar_has_its_own_clusters_and_one_for_each_service(mesh: Mesh) -> None:
    own = {"local_app", "allowed_sources", "original-destination"}
    assert names(mesh, "web", ResourceType.CLUSTER) == own | {sni("api"), sni("db"), sni("web")}


def test_a_sidecar_that_is_not_transparent_has_only_what_it_names() -> None:
    mesh = Mesh()
    mesh.register("api")
    upstream = Upstream(destination_name="api", local_bind_port=9191)
    mesh.register("web", proxy=Proxy(destination_service_name="web", upstreams=(upstream,)), port=20001)
    assert names(mesh, "web", ResourceType.CLUSTER) == {"local_app", "allowed_sources", sni("api")}
    assert names(mesh, "web", ResourceType.LISTENER) == {
        "public_listener:127.0.0.1:20001",
        "allowed_sources",
        "api:127.0.0.1:9191",
    }


def test_every_cluster_that_asks_for_endpoints_has_some_resource_of_them(mesh: Mesh) -> None:
    upstreams = (
        Upstream(destination_name="far", datacenter="dc2", local_bind_port=9191),
        Upstream(destination_name="near", destination_type="prepared_query", local_bind_port=9192),
        Upstream(destination_name="unknown", local_bind_port=9193),
    )
    mesh.register("shop", proxy=transparent("shop", upstreams=upstreams))
    asking = {
        name
        for name in names(mesh, "shop", ResourceType.CLUSTER)
        if cluster(mesh, "shop", name).type == cluster_pb2.Cluster.EDS
    }
    assert asking == names(mesh, "shop", ResourceType.ENDPOINT)
    assert f"far.default.dc2.internal.{TRUST_DOMAIN}" in asking
    assert f"near.default.dc1.query.{TRUST_DOMAIN}" in asking


def test_listeners_of_explicit_upstreams_are_named_as_consul_names_them() -> None:
    upstreams = (
        Upstream(destination_name="far", datacenter="dc2", local_bind_port=9191),
        Upstream(
            destination_name="near",
            destination_type="prepared_query",
            local_bind_address="::1",
            local_bind_port=2,
        ),
        Upstream(destination_name="api", local_bind_socket_path="/run/api.sock", config={"protocol": "http"}),
        Upstream(destination_name="unbound"),
    )
    mesh = Mesh()
    mesh.register("web", proxy=Proxy(destination_service_name="web", upstreams=upstreams))
    own = {"public_listener:127.0.0.1:20000", "allowed_sources"}
    found = names(mesh, "web", ResourceType.LISTENER)
    assert {one(mesh, "web", ResourceType.LISTENER, name).name for name in found} == found
    assert found - own == {
        "far?dc=dc2:127.0.0.1:9191",
        "prepared_query:near:::1:2",
        "api:/run/api.sock",
    }


def test_an_exposed_path_to_another_port_has_its_own_cluster() -> None:
    paths = (ExposePath(21500, "/health", 8080), ExposePath(21501, "/ready", 8081))
    proxy = Proxy(destination_service_name="web", local_service_port=8080, expose=ExposeConfig(paths=paths))
    mesh = Mesh()
    mesh.register("web", proxy=proxy)
    assert "exposed_cluster_8081" in names(mesh, "web", ResourceType.CLUSTER)
    assert "exposed_cluster_8080" not in names(mesh, "web", ResourceType.CLUSTER)
    assert {"exposed_path_health:127.0.0.1:21500", "exposed_path_ready:127.0.0.1:21501"} <= names(
        mesh, "web", ResourceType.LISTENER
    )


def test_a_proxy_that_is_not_registered_has_no_configuration_rather_than_an_empty_one(mesh: Mesh) -> None:
    with pytest.raises(NotASidecarError, match="'ghost-sidecar-proxy' on node 'here' is not registered"):
        names(mesh, "ghost", ResourceType.LISTENER)


def test_a_gateway_is_not_served_a_sidecars_configuration(mesh: Mesh) -> None:
    stored = mesh.engine.snapshot.get(SERVICES, (NODE, "web-sidecar-proxy"))
    assert stored is not None
    gateway = type(stored.value)(NODE, "web-sidecar-proxy", "gateway", kind=ServiceKind.INGRESS_GATEWAY)
    mesh.commit(Put(SERVICES, gateway))
    with pytest.raises(NotASidecarError):
        names(mesh, "web", ResourceType.CLUSTER)


def test_without_a_certificate_only_the_secret_waits(mesh: Mesh) -> None:
    mesh.engine.drop_cell(leaf_cell("web"))
    with pytest.raises(NotYetError, match="service 'web' has no certificate yet"):
        one(mesh, "web", ResourceType.SECRET, "leaf")
    assert one(mesh, "web", ResourceType.SECRET, "roots").body
    assert outbound(mesh, "web").name == OUTBOUND


@pytest.mark.parametrize(
    ("registered", "bound"), [("10.0.0.7", "10.0.0.7"), ("", "0.0.0.0"), ("host.example", "0.0.0.0")]
)
def test_the_public_listener_binds_to_the_registered_address_if_it_is_one(
    mesh: Mesh, registered: str, bound: str
) -> None:
    mesh.register("web", proxy=transparent("web"), address=registered)
    assert f"public_listener:{bound}:20000" in names(mesh, "web", ResourceType.LISTENER)


# Settings


def test_the_protocol_of_an_inferred_upstream_is_honoured(mesh: Mesh) -> None:
    assert chains(outbound(mesh, "web"))["240.0.0.1"] == "tcp_proxy"
    mesh.commit(Put(CONFIG_ENTRIES, ServiceDefaults(name="api", protocol="grpc")))
    assert chains(outbound(mesh, "web"))["240.0.0.1"] == "http_connection_manager"
    assert cluster(mesh, "web", sni("api")).typed_extension_protocol_options
    assert names(mesh, "web", ResourceType.ROUTE) == {"api"}


def test_the_protocol_of_proxy_defaults_holds_for_everybody(mesh: Mesh) -> None:
    mesh.commit(Put(CONFIG_ENTRIES, ProxyDefaults(name="global", config={"protocol": "http"})))
    assert names(mesh, "web", ResourceType.ROUTE) == {"public_listener", "api", "db", "web"}


def test_a_callers_limits_are_in_its_own_cluster_only(mesh: Mesh) -> None:
    override = UpstreamConfig(name="api", limits=UpstreamLimits(max_connections=3))
    entry = ServiceDefaults(name="web", upstream_config=UpstreamConfiguration(overrides=(override,)))
    mesh.commit(Put(CONFIG_ENTRIES, entry))
    limited = cluster(mesh, "web", sni("api")).circuit_breakers.thresholds[0].max_connections.value
    assert limited == 3
    assert not cluster(mesh, "db", sni("api")).circuit_breakers.thresholds


def test_a_critical_instance_is_sent_as_unhealthy(mesh: Mesh) -> None:
    def health() -> int:
        body = one(mesh, "web", ResourceType.ENDPOINT, sni("api")).body
        (group,) = endpoint_pb2.ClusterLoadAssignment.FromString(body).endpoints
        status: int = group.lb_endpoints[0].health_status
        return status

    healthy, unhealthy = 1, 2
    assert health() == healthy
    check = HealthCheck(NODE, "alive", status=CheckStatus.CRITICAL, service_id="api-sidecar-proxy")
    mesh.commit(Put(CHECKS, check))
    assert health() == unhealthy


# Refusal at the source


def test_a_refused_service_has_neither_cluster_nor_chain_and_its_addresses_are_closed(mesh: Mesh) -> None:
    stored = mesh.engine.snapshot.get(SERVICES, (NODE, "db-sidecar-proxy"))
    assert stored is not None
    tagged = {"virtual": ServiceAddress("10.96.0.10", 5432)}
    mesh.commit(Put(SERVICES, type(stored.value)(**{**_fields(stored.value), "tagged_addresses": tagged})))
    assert chains(outbound(mesh, "web"))["10.96.0.10:5432"] == "tcp_proxy"
    mesh.intend("db", web="deny")
    assert sni("db") not in names(mesh, "web", ResourceType.CLUSTER)
    assert chains(outbound(mesh, "web"))["10.96.0.10:5432"] == "direct_response"


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def test_an_address_that_is_no_longer_dialled_directly_is_forgotten(mesh: Mesh) -> None:
    asking = transparent("api", transparent_proxy=TransparentProxyConfig(dialed_directly=True))
    mesh.register("api", proxy=asking, address="10.1.0.9", number=1)
    assert "10.1.0.9" in chains(outbound(mesh, "web"))
    assert f"passthrough~{sni('api')}" in names(mesh, "web", ResourceType.CLUSTER)
    mesh.register("api", proxy=transparent("api"), address="10.1.0.9", number=1)
    assert "10.1.0.9" not in chains(outbound(mesh, "web"))
    assert f"passthrough~{sni('api')}" not in names(mesh, "web", ResourceType.CLUSTER)


def test_mesh_destinations_only_leaves_no_way_out(mesh: Mesh) -> None:
    assert "any" in chains(outbound(mesh, "web"))
    entry = MeshEntry(transparent_proxy=TransparentProxyMeshConfig(mesh_destinations_only=True))
    mesh.commit(Put(CONFIG_ENTRIES, entry))
    assert "any" not in chains(outbound(mesh, "web"))
    assert "original-destination" not in names(mesh, "web", ResourceType.CLUSTER)


# Further ports


def test_a_further_port_has_clusters_and_listeners_on_both_sides(mesh: Mesh) -> None:
    mesh.tag("db", **{"virtual.90:9090": ServiceAddress("10.96.0.10", 90)})
    further = f"port-9090~{sni('db')}"
    assert further in names(mesh, "web", ResourceType.CLUSTER)
    assert further in names(mesh, "web", ResourceType.ENDPOINT)
    assert chains(outbound(mesh, "web"))["10.96.0.10:90"] == "tcp_proxy"
    assert {"local_app_9090", "allowed_sources_9090"} < names(mesh, "db", ResourceType.CLUSTER)
    assert "allowed_sources_9090" in names(mesh, "db", ResourceType.LISTENER)
    mesh.intend("db", web="deny")
    assert further not in names(mesh, "web", ResourceType.CLUSTER)
    assert chains(outbound(mesh, "web"))["10.96.0.10:90"] == "direct_response"


def test_a_workload_that_is_not_redirected_has_its_own_port_alone(mesh: Mesh) -> None:
    mesh.register("db", proxy=Proxy(destination_service_name="db", local_service_port=8080), number=2)
    mesh.tag("db", **{"virtual.90:9090": ServiceAddress("10.96.0.10", 90)})
    assert "local_app_9090" not in names(mesh, "db", ResourceType.CLUSTER)


# What a change touches


def test_a_rotation_touches_the_secret_and_nothing_else(mesh: Mesh) -> None:
    before = versions(mesh, "web")
    mesh.rotate("web")
    assert changed(mesh, "web", before) == {("SECRET", "leaf")}


def test_the_health_of_an_instance_touches_endpoints_and_nothing_else(mesh: Mesh) -> None:
    before = versions(mesh, "web")
    check = HealthCheck(NODE, "alive", status=CheckStatus.CRITICAL, service_id="api-sidecar-proxy")
    mesh.commit(Put(CHECKS, check))
    assert changed(mesh, "web", before) == {("ENDPOINT", sni("api"))}


def test_an_intention_between_others_touches_nothing(mesh: Mesh) -> None:
    before = versions(mesh, "web")
    mesh.intend("db", api="deny")
    assert changed(mesh, "web", before) == set()


def test_a_deny_touches_the_inner_listener_of_the_destination_and_no_cluster(mesh: Mesh) -> None:
    before = versions(mesh, "db")
    mesh.intend("db", web="deny")
    assert changed(mesh, "db", before) == {("LISTENER", "allowed_sources")}


def test_the_settings_of_an_upstream_touch_its_cluster_and_no_listener(mesh: Mesh) -> None:
    before = versions(mesh, "web")
    defaults = UpstreamConfig(connect_timeout_ms=700)
    entry = ServiceDefaults(name="web", upstream_config=UpstreamConfiguration(defaults=defaults))
    mesh.commit(Put(CONFIG_ENTRIES, entry))
    assert {kind for kind, _ in changed(mesh, "web", before)} == {"CLUSTER"}


# What is shared


def test_proxies_that_may_call_the_same_services_share_all_but_what_is_their_own(mesh: Mesh) -> None:
    api, web = (
        {
            (resource_type.name, name): ref
            for resource_type in ResourceType
            for name, ref in mesh.engine.ask(
                refs, (NODE, f"{service}-sidecar-proxy", str(resource_type))
            ).by_name.items()
        }
        for service in ("api", "web")
    )
    assert {key for key in api if api[key] != web.get(key)} == {("SECRET", "leaf")}


@pytest.mark.parametrize("services", [5, 50])
def test_an_endpoint_change_runs_the_same_few_queries_however_many_proxies_there_are(services: int) -> None:
    mesh = Mesh()
    for number in range(1, services + 1):
        mesh.register(f"s{number}", proxy=transparent(f"s{number}"), number=number)
    told: list[str] = []
    watched: set[object] = set()
    for number in range(1, services + 1):
        for resource_type in ResourceType:
            arguments = (NODE, f"s{number}-sidecar-proxy", str(resource_type))
            found = mesh.engine.subscribe(refs, lambda: told.append("refs"), *arguments)
            for ref in set(found.value.by_name.values()) - watched:
                watched.add(ref)
                mesh.engine.subscribe(resource, partial(told.append, str(ref)), ref)
    before = mesh.engine.counts.evaluated
    mesh.register("s1", proxy=transparent("s1"), address="127.0.0.9", number=1)
    mesh.engine.settle()
    assert len([name for name in told if name.startswith("EndpointsRef")]) == 1
    assert mesh.engine.counts.evaluated - before <= 16
