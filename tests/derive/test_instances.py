"""Where a service's sidecars are, how healthy they are, and which addresses stand for the service."""

from __future__ import annotations

import pytest

from pellucid.derive.instances import (
    Endpoint,
    direct_addresses,
    endpoints,
    further_endpoints,
    further_ports,
    mesh_services,
    typical_services,
    virtual_addresses,
)
from pellucid.model.checks import CheckStatus
from pellucid.model.config_entries import ProxyDefaults
from pellucid.model.identity import VirtualAddress
from pellucid.model.services import Proxy, ServiceAddress, TransparentProxyConfig, Weights
from pellucid.state.mesh_tables import CONFIG_ENTRIES, VIRTUAL_ADDRESSES
from pellucid.state.tables import Put
from tests.derive.mesh_world import MeshWorld, app, check, gone, sidecar


@pytest.fixture
def world() -> MeshWorld:
    return MeshWorld()


def test_endpoints_are_sidecars_in_order_of_address(world: MeshWorld) -> None:
    world.commit(
        app("db"), sidecar("db", "two", address="10.0.0.2"), sidecar("db", "one", address="10.0.0.1")
    )
    assert world.ask(endpoints, "db") == (
        Endpoint("10.0.0.1", 20000, healthy=True),
        Endpoint("10.0.0.2", 20000, healthy=True),
    )


def test_a_sidecar_without_an_address_is_at_its_node(world: MeshWorld) -> None:
    world.commit(sidecar("db", address=""))
    assert world.ask(endpoints, "db") == (Endpoint("10.0.0.1", 20000, healthy=True),)


@pytest.mark.parametrize(
    ("status", "healthy", "weight"),
    [
        (CheckStatus.PASSING, True, 5),
        (CheckStatus.WARNING, True, 2),
        (CheckStatus.CRITICAL, False, 5),
    ],
)
def test_health_decides_about_traffic_and_weight(
    world: MeshWorld, status: CheckStatus, healthy: bool, weight: int
) -> None:
    world.commit(sidecar("db", weights=Weights(5, 2)), check(status, "db-sidecar-proxy"))
    assert world.ask(endpoints, "db") == (Endpoint("10.0.0.9", 20000, healthy, weight),)


def test_a_sick_node_makes_its_instances_sick(world: MeshWorld) -> None:
    world.commit(sidecar("db"), check(CheckStatus.CRITICAL))
    (only,) = world.ask(endpoints, "db")
    assert not only.healthy


def test_weights_are_kept_within_what_envoy_takes(world: MeshWorld) -> None:
    world.commit(sidecar("db", "heavy", weights=Weights(9_999, 1)))
    assert world.ask(endpoints, "db")[0].weight == 128
    world.commit(sidecar("db", "heavy", weights=Weights(0, 1)))
    assert world.ask(endpoints, "db")[0] == Endpoint("10.0.0.9", 20000, healthy=False, weight=1)


def test_one_health_change_among_a_thousand_services_runs_a_constant_number_of_queries() -> None:
    counts = []
    for size in (10, 1_000):
        world = MeshWorld()
        world.commit(*(change for n in range(size) for change in (app(f"s{n}"), sidecar(f"s{n}"))))
        for n in range(size):
            world.watch(endpoints, f"s{n}")
            world.watch(virtual_addresses, f"s{n}")
        counts.append(world.evaluated_by(check(CheckStatus.CRITICAL, "s3-sidecar-proxy")))
        assert [args for args, *_ in world.told] == ["s3"]
    assert counts[0] == counts[1] == 2


def ips(world: MeshWorld) -> tuple[str, ...]:
    return tuple(address.ip for address in world.ask(virtual_addresses, "db"))


def test_virtual_addresses_are_the_allocated_and_the_tagged(world: MeshWorld) -> None:
    tagged = {"virtual": ServiceAddress("10.96.0.7", 80), "lan": ServiceAddress("192.168.0.7")}
    world.commit(sidecar("db", tagged_addresses=tagged), Put(VIRTUAL_ADDRESSES, VirtualAddress("db", 1)))
    assert ips(world) == ("10.96.0.7", "240.0.0.1", "fd70:656c:6c75::1")


def test_a_service_may_have_several_virtual_addresses(world: MeshWorld) -> None:
    tags = ("virtual", "virtual.ipv6", "virtual-front", "consul-virtual", "virtualbox")
    tagged = {tag: ServiceAddress(f"10.96.0.{n}", 80) for n, tag in enumerate(tags)}
    world.commit(sidecar("db", tagged_addresses=tagged))
    assert ips(world) == ("10.96.0.0", "10.96.0.1", "10.96.0.2", "10.96.0.3")


def test_a_tagged_address_stands_for_the_service_on_its_port_and_an_allocated_one_on_any(
    world: MeshWorld,
) -> None:
    tagged = {"virtual": ServiceAddress("10.96.0.7", 80), "virtual-alt": ServiceAddress("10.96.0.7", 8080)}
    world.commit(sidecar("db", tagged_addresses=tagged), Put(VIRTUAL_ADDRESSES, VirtualAddress("db", 1)))
    found = [(address.ip, address.port) for address in world.ask(virtual_addresses, "db")]
    assert found == [("10.96.0.7", 80), ("10.96.0.7", 8080), ("240.0.0.1", 0), ("fd70:656c:6c75::1", 0)]


def test_a_tagged_address_may_lead_to_a_further_port_of_the_workloads_that_have_it(
    world: MeshWorld,
) -> None:
    tagged = {"virtual": ServiceAddress("10.96.0.7", 80), "virtual.90:9090": ServiceAddress("10.96.0.7", 90)}
    world.commit(
        sidecar("db", "1", address="10.0.0.1", tagged_addresses=tagged),
        sidecar("db", "2", address="10.0.0.2"),
    )
    leads_to = {address.port: address.further for address in world.ask(virtual_addresses, "db")}
    assert leads_to == {80: 0, 90: 9090}
    assert world.ask(further_ports, "db") == (9090,)
    (found,) = world.ask(further_endpoints, "db", 9090)
    assert (found.address, found.port) == ("10.0.0.1", 9090)


def test_a_further_port_needs_no_address(world: MeshWorld) -> None:
    world.commit(sidecar("db", tagged_addresses={"virtual.90:9090": ServiceAddress("", 90)}))
    assert world.ask(further_ports, "db") == (9090,)
    assert ips(world) == ()


@pytest.mark.parametrize("tag", ["virtual:", "virtual:0", "virtual:x", "virtual:123456", "lan:80"])
def test_a_tag_without_a_port_after_its_colon_is_no_virtual_address(world: MeshWorld, tag: str) -> None:
    world.commit(sidecar("db", tagged_addresses={tag: ServiceAddress("10.96.0.7", 80)}))
    assert ips(world) == ()


def test_tagged_addresses_are_written_in_one_way(world: MeshWorld) -> None:
    world.commit(sidecar("db", tagged_addresses={"virtual": ServiceAddress("FD00:0::0A")}))
    assert ips(world) == ("fd00::a",)


def test_a_tagged_name_is_no_address(world: MeshWorld) -> None:
    world.commit(sidecar("db", tagged_addresses={"virtual": ServiceAddress("db.internal")}))
    assert ips(world) == ()


def test_addresses_are_direct_only_while_an_instance_asks_for_it(world: MeshWorld) -> None:
    asks = Proxy(
        destination_service_name="db", transparent_proxy=TransparentProxyConfig(dialed_directly=True)
    )
    world.commit(sidecar("db", "one", asks, address="10.0.0.1"), sidecar("db", "two", address="10.0.0.2"))
    assert world.ask(direct_addresses, "db") == ("10.0.0.1",)
    world.commit(sidecar("db", "one", address="10.0.0.1"))
    assert world.ask(direct_addresses, "db") == ()


def test_defaults_can_make_every_address_direct(world: MeshWorld) -> None:
    defaults = ProxyDefaults(name="global", transparent_proxy=TransparentProxyConfig(dialed_directly=True))
    world.commit(sidecar("db"), Put(CONFIG_ENTRIES, defaults))
    assert world.ask(direct_addresses, "db") == ("10.0.0.9",)


def test_names_of_services_move_only_when_one_appears_or_vanishes(world: MeshWorld) -> None:
    world.commit(app("web"), app("db"), sidecar("db"), app("consul"))
    world.watch(mesh_services)
    world.watch(typical_services)
    assert world.ask(mesh_services) == ("db",)
    assert world.ask(typical_services) == ("db", "web")
    assert world.evaluated_by(app("web", "web-2"), sidecar("db", "another")) == 0
    assert world.evaluated_by(gone("another"), gone("db-sidecar-proxy")) == 1
    assert world.ask(mesh_services) == ()
