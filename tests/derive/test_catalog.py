"""What the catalog and health endpoints list, and what a change costs."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.derive.agent_views import local_checks, local_services
from pellucid.derive.catalog import connect_instances, instances, node_instances, service_index, services
from pellucid.derive.engine import Engine
from pellucid.derive.gateways import gateway_services, terminating_gateways_of
from pellucid.derive.service_summaries import summarize
from pellucid.derive.shown_proxy import shown_service
from pellucid.derive.topology import summary_of, topology
from pellucid.model.checks import CheckDefinition, CheckStatus, HealthCheck
from pellucid.model.config_entries import (
    LinkedService,
    ProxyDefaults,
    ServiceIntentions,
    SourceIntention,
    TerminatingGateway,
)
from pellucid.model.services import Node, Origin, Proxy, Service, ServiceKind, Upstream
from pellucid.state.mesh_tables import CHECK_DEFINITIONS, CHECKS, CONFIG_ENTRIES, NODES, SERVICES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change, Delete, Put


class World:
    """A log and an engine in one, for synchronous tests."""

    def __init__(self, *changes: Change) -> None:
        self.engine = Engine(Snapshot())
        self.db = self.engine.db
        self.commit(Put(NODES, Node("n1", "10.0.0.1")), *changes)

    def commit(self, *changes: Change) -> int:
        """Apply the changes; returns the revision."""
        after, batch = self.engine.snapshot.apply(changes)
        self.engine.apply(after, batch)
        self.engine.settle()
        return after.revision


def app(service_id: str, name: str = "", node: str = "n1", **fields: object) -> Put[Service]:
    return Put(SERVICES, Service(node, service_id, name or service_id, **fields))  # type: ignore[arg-type]


def sidecar(of: str, mode: str = "", upstreams: Sequence[str] = ()) -> Put[Service]:
    proxy = Proxy(of, of, mode=mode, upstreams=tuple(Upstream(name) for name in upstreams))
    return app(f"{of}-proxy", kind=ServiceKind.CONNECT_PROXY, port=20000, proxy=proxy)


def check(check_id: str, service_id: str = "", status: CheckStatus = CheckStatus.PASSING) -> Put[HealthCheck]:
    return Put(
        CHECKS, HealthCheck("n1", check_id, status=status, service_id=service_id, service_name=service_id)
    )


def test_a_change_of_one_service_among_a_thousand_runs_a_constant_number_of_queries() -> None:
    runs = {}
    for count in (10, 1_000):
        world = World(*(app(f"s{n}") for n in range(count)))
        subscriptions = [world.engine.subscribe(instances, lambda: None, f"s{n}") for n in range(count)]
        before = world.engine.counts.evaluated
        world.commit(app("s5", port=81))
        runs[count] = world.engine.counts.evaluated - before
        assert subscriptions[5].value.rows[0].service.value.port == 81
    assert runs[10] == runs[1_000] < 10


def test_the_index_of_a_service_follows_its_instances_their_nodes_and_checks_and_nothing_else() -> None:
    world = World(app("web"), app("api"))
    for mine in (app("web", port=1), check("c", "web"), check("node"), Put(NODES, Node("n1", "10.0.0.2"))):
        revision = world.commit(mine)
        assert service_index(world.db, "web") == revision
    world.commit(app("api", port=1), check("d", "api"), Put(NODES, Node("n2", "10.0.0.3")))
    assert service_index(world.db, "web") == revision


def test_a_service_that_has_gone_keeps_the_index_of_its_going() -> None:
    world = World(app("web"))
    gone = world.commit(Delete(SERVICES, ("n1", "web")))
    world.commit(app("api"))
    assert instances(world.db, "web").rows == ()
    assert instances(world.db, "web").index == gone


def test_a_service_that_never_was_has_the_index_of_the_tables() -> None:
    world = World(app("web"))
    revision = world.commit(app("api"))
    assert instances(world.db, "none").index == revision


def test_services_are_listed_with_the_tags_of_all_their_instances() -> None:
    world = World(app("a", "web", tags=("v1", "x")), app("b", "web", tags=("v2", "x")), app("api"))
    assert services(world.db, ()).rows == (("api", ()), ("web", ("v1", "x", "v2")))


def test_connections_are_taken_by_sidecars_native_instances_and_linked_gateways() -> None:
    gateway = app("tgw", kind=ServiceKind.TERMINATING_GATEWAY)
    entry = TerminatingGateway("tgw", (LinkedService("web"),))
    native = app("native", "web", connect_native=True)
    world = World(app("web"), sidecar("web"), native, gateway, Put(CONFIG_ENTRIES, entry))
    found = {instance.service.value.id for instance in connect_instances(world.db, "web").rows}
    assert found == {"web-proxy", "native", "tgw"}
    assert terminating_gateways_of(world.db, "web") == ("tgw",)


def test_an_instance_without_a_node_is_not_listed() -> None:
    world = World(app("web"), app("lost", "web", node="nowhere"))
    assert [instance.service.value.id for instance in instances(world.db, "web").rows] == ["web"]


def test_a_named_service_of_a_gateway_wins_over_its_wildcard() -> None:
    services = (LinkedService("*", ca_file="all"), LinkedService("web", ca_file="own"))
    world = World(app("web"), app("api"), Put(CONFIG_ENTRIES, TerminatingGateway("tgw", services)))
    rows = {row.service: (row.ca_file, row.from_wildcard) for row in gateway_services(world.db, "tgw")}
    assert rows == {"web": ("own", False), "api": ("all", True)}


def test_a_proxy_is_shown_with_what_config_entries_add_and_their_index() -> None:
    world = World(app("web"), sidecar("web"))
    assert shown_service(world.db, "n1", "web-proxy").proxy.mode == ""
    revision = world.commit(Put(CONFIG_ENTRIES, ProxyDefaults("global", mode="transparent")))
    shown = shown_service(world.db, "n1", "web-proxy")
    assert shown.proxy.mode == "transparent"
    assert shown.service.modify_index == revision
    assert shown.service.value.proxy.mode == ""
    assert node_instances(world.db, "n1").index == revision


def test_a_proxy_of_a_mode_that_does_not_exist_is_shown_as_registered() -> None:
    world = World(
        sidecar("web", "bogus"), Put(CONFIG_ENTRIES, ProxyDefaults("global", config={"protocol": "http"}))
    )
    assert shown_service(world.db, "n1", "web-proxy").proxy.config is None


def test_an_agent_lists_what_was_registered_with_it() -> None:
    world = World(
        app("web"),
        app("db", origin=Origin.CATALOG),
        check("run", "web"),
        check("of others", "db"),
        check("_node_maintenance"),
        check("serfHealth"),
        Put(CHECK_DEFINITIONS, CheckDefinition("n1", "run", service_id="web", ttl_ns=1)),
    )
    assert [shown.service.value.id for shown in local_services(world.db, "n1")] == ["web"]
    assert [c.check_id for c in local_checks(world.db, "n1")] == ["_node_maintenance", "run"]


def test_a_sidecars_checks_count_for_its_service_too() -> None:
    world = World(
        app("web"),
        sidecar("web", "transparent"),
        check("serf"),
        check("own", "web", CheckStatus.WARNING),
        check("listening", "web-proxy", CheckStatus.CRITICAL),
    )
    summary = summary_of(world.db, "web")
    assert (summary.passing, summary.warning, summary.critical) == (1, 1, 1)
    assert (summary.instance_count, summary.transparent, summary.has_proxy) == (1, True, True)


def test_nothing_has_no_summaries() -> None:
    assert summarize(()) == ()


def intentions(destination: str, **actions: str) -> Put[ServiceIntentions]:
    entry = ServiceIntentions(
        destination,
        tuple(SourceIntention(name.replace("any", "*"), action) for name, action in actions.items()),
    )
    return Put(CONFIG_ENTRIES, entry.normalized())


def test_topology_tells_how_each_neighbour_came_about() -> None:
    world = World(
        app("web"),
        sidecar("web", "transparent", upstreams=("db",)),
        app("db"),
        app("api"),
        app("cache"),
        intentions("*", any="deny"),
        intentions("api", web="allow"),
        intentions("db", web="deny"),
    )
    found = {n.summary.name: (n.source, n.decision.allowed) for n in topology(world.db, "web", "").upstreams}
    assert found == {"db": ("proxy-registration", False), "api": ("specific-intention", True)}
    assert [n.summary.name for n in topology(world.db, "api", "").downstreams] == ["web"]
    world.commit(intentions("*", any="allow"))
    found = {n.summary.name: (n.source, n.decision.allowed) for n in topology(world.db, "web", "").upstreams}
    assert found["cache"] == ("wildcard-intention", True)
