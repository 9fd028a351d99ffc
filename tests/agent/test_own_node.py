from __future__ import annotations

from pellucid.agent.own_node import OwnNode, own_node_changes, tagged_addresses
from pellucid.state.mesh_tables import CHECKS, NODES, SERVICES
from pellucid.state.snapshot import Snapshot

OWN = OwnNode("n1", "ee6d986f-36bf-a739-b1df-012347c72d28", "10.0.0.1", meta={"rack": "7"})


def test_an_agent_brings_its_node_its_server_and_that_it_lives() -> None:
    state, _ = Snapshot().apply(own_node_changes(OWN))
    node = state.get(NODES, ("n1",))
    assert node is not None
    assert node.value.meta == {"consul-network-segment": "", "rack": "7"}
    server = state.get(SERVICES, ("n1", "consul"))
    assert server is not None
    assert server.value.port == 8300
    alive = state.get(CHECKS, ("n1", "serfHealth"))
    assert alive is not None
    assert alive.value.output == "Agent alive and reachable"


def test_starting_again_changes_nothing() -> None:
    state, _ = Snapshot().apply(own_node_changes(OWN))
    again, batch = state.apply(own_node_changes(OWN))
    assert again is state
    assert batch.touched == ()


def test_an_address_is_tagged_by_its_family() -> None:
    assert set(tagged_addresses("10.0.0.1")) == {"lan", "wan", "lan_ipv4", "wan_ipv4"}
    assert set(tagged_addresses("fd00::1")) == {"lan", "wan", "lan_ipv6", "wan_ipv6"}
