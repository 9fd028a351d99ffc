"""What names and addresses stand for, whatever their case."""

from __future__ import annotations

import pytest

from pellucid.derive import naming
from pellucid.derive.proxies import ProxyPlace, proxy_place
from pellucid.model.checks import CheckStatus
from pellucid.model.identity import VirtualAddress
from pellucid.state.mesh_tables import VIRTUAL_ADDRESSES
from pellucid.state.tables import Put
from tests.derive.mesh_world import NODE, MeshWorld, app, check, sidecar


@pytest.fixture
def world() -> MeshWorld:
    world = MeshWorld()
    world.commit(app("Web", "web-1", address="10.1.1.1"), sidecar("Web"), check(CheckStatus.WARNING, "web-1"))
    world.commit(Put(VIRTUAL_ADDRESSES, VirtualAddress("Web", 3)))
    return world


def test_instances_are_found_by_name_in_any_case(world: MeshWorld) -> None:
    (found,) = world.ask(naming.instances_named, "web")
    assert (found.service.id, found.node.name, found.status) == ("web-1", NODE, CheckStatus.WARNING)


def test_sidecars_are_found_by_the_name_of_their_service(world: MeshWorld) -> None:
    (found,) = world.ask(naming.connect_instances_named, "web")
    assert found.service.id == "Web-sidecar-proxy"


def test_addresses_lead_back_to_their_owners(world: MeshWorld) -> None:
    assert world.ask(naming.node_at, "10.0.0.1") == NODE
    assert world.ask(naming.service_at, "10.1.1.1") == "Web"
    assert world.ask(naming.service_at_virtual, "240.0.0.3") == "Web"
    assert world.ask(naming.service_at_virtual, "fd70:656c:6c75::3") == "Web"
    assert world.ask(naming.service_at_virtual, "10.1.1.1") is None


def test_an_instance_on_a_node_that_is_gone_is_shown_without_one() -> None:
    world = MeshWorld()
    world.commit(app("web"))
    assert world.ask(naming.node_named, "n1").name == NODE
    assert world.ask(naming.node_named, "nowhere") is None


def test_a_proxy_is_placed_by_its_id_and_an_application_is_no_proxy(world: MeshWorld) -> None:
    assert world.ask(proxy_place, "Web-sidecar-proxy") == ProxyPlace(NODE, "Web-sidecar-proxy")
    assert world.ask(proxy_place, "web-1") is None
