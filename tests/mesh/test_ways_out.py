"""What becomes of a connection that a program in the mesh opens: by its address, and by intentions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pellucid.demo.evidence import admin, counters, envoy_below
from pellucid.demo.stage import Program
from tests.mesh.mesh import (
    Agent,
    CallFailed,
    Workload,
    calling_workload,
    eventually,
    outside,
    running_agent,
    serving_workload,
)

pytestmark = pytest.mark.root

VIRTUAL = "198.51.100.7"
"""Given to the service `db` as its virtual address; what really answers there is not in the mesh."""
WORDS = "more words than a TLS record needs to be known as none"
ELSEWHERE = ("198.51.100.8", "2001:db8::8")


class Scene:
    """A caller, a server, and programs outside that would hear whatever left the caller in plain."""

    def __init__(self, agent: Agent, stack: ExitStack) -> None:
        self.agent = agent
        self.echo: Program = stack.enter_context(serving_workload(agent, "echo", "echo.py"))
        self.caller: Workload = stack.enter_context(calling_workload(agent, "caller"))
        self.outside: Program = stack.enter_context(outside(VIRTUAL, *ELSEWHERE))

    def reaches(self, address: str, port: int = 8080) -> bool:
        """Whether an echo comes back."""
        try:
            return bool(self.caller.ask("echo", address, port, WORDS) == WORDS)
        except CallFailed:
            return False

    def connections_outside(self) -> int:
        return sum(line.text == "a connection" for line in self.outside.lines)

    def only_the_next_connection_got_outside(self, before: int) -> bool:
        """Make one connection outside and say whether it is the only one since `before` were counted.

        Lines come in the order of the connections, so whatever came before this one has been heard too.
        """
        assert self.reaches(ELSEWHERE[0])
        eventually(lambda: self.connections_outside() > before, "the connection outside is heard of")
        return self.connections_outside() == before + 1

    def handshakes(self) -> int:
        found = counters(envoy_below(self.echo.pid), r"^listener\..*20000\.ssl\.handshake$")
        return sum(found.values())

    def outbound_listener(self) -> str:
        return admin(envoy_below(self.caller.program.pid), "/config_dump?resource=dynamic_listeners")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with running_agent() as agent, ExitStack() as stack:
        yield Scene(agent, stack)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_what_is_outside_the_mesh_is_reached_as_it_is(scene: Scene, address: str) -> None:
    assert scene.reaches(address)


def test_a_denied_mesh_address_is_refused_at_the_source_and_nothing_leaves_in_plain(scene: Scene) -> None:
    agent = scene.agent
    agent.intend("db", caller="deny")
    agent.register("db", sidecar_port=21_901, TaggedAddresses={"virtual": {"Address": VIRTUAL, "Port": 8080}})
    eventually(lambda: VIRTUAL in scene.outbound_listener(), "the caller knows the address")
    before = scene.connections_outside()
    assert not scene.reaches(VIRTUAL)
    allocated = scene.caller.ask("resolve", "db.virtual.consul")
    assert not any(scene.reaches(address) for address in allocated)
    assert scene.only_the_next_connection_got_outside(before)

    agent.deregister("db-sidecar-proxy")
    eventually(lambda: VIRTUAL not in scene.outbound_listener(), "the caller forgets the address")
    assert scene.reaches(VIRTUAL)


def test_a_virtual_address_that_nobody_has_is_refused(scene: Scene) -> None:
    before = scene.connections_outside()
    assert not scene.reaches("240.0.200.200")
    assert scene.only_the_next_connection_got_outside(before)


def test_with_mesh_destinations_only_nothing_leaves_the_mesh(scene: Scene) -> None:
    agent = scene.agent
    assert scene.reaches(ELSEWHERE[0])
    agent.put("/v1/config", {"Kind": "mesh", "TransparentProxy": {"MeshDestinationsOnly": True}})
    eventually(lambda: not scene.reaches(ELSEWHERE[0]), "what is outside is refused")
    before = scene.connections_outside()
    assert not any(scene.reaches(address) for address in ELSEWHERE)
    assert scene.reaches("echo.virtual.consul")
    agent.request("DELETE", "/v1/config/mesh/mesh")
    eventually(lambda: scene.reaches(ELSEWHERE[0]), "what is outside is reached again")
    eventually(lambda: scene.connections_outside() > before, "the connection outside is heard of")
    assert scene.connections_outside() == before + 1


def test_instances_are_dialled_directly_in_mutual_tls_only_while_they_ask_for_it(scene: Scene) -> None:
    agent = scene.agent
    (instance,) = agent.get("/v1/health/connect/echo")
    address = instance["Service"]["Address"]
    agent.defaults("echo", transparent_proxy={"DialedDirectly": True})
    eventually(lambda: address in scene.outbound_listener(), "the caller knows the instance")
    before = scene.handshakes()
    assert scene.reaches(address)
    assert scene.handshakes() == before + 1

    agent.request("DELETE", "/v1/config/service-defaults/echo")
    eventually(lambda: address not in scene.outbound_listener(), "the caller forgets the instance")
    assert not scene.reaches(address)
    assert scene.handshakes() == before + 1
    assert scene.reaches("echo.virtual.consul")


def test_a_denied_instance_that_is_dialled_directly_is_refused_at_the_source(scene: Scene) -> None:
    agent = scene.agent
    (instance,) = agent.get("/v1/health/connect/echo")
    address = instance["Service"]["Address"]
    agent.defaults("echo", transparent_proxy={"DialedDirectly": True})
    eventually(lambda: scene.reaches(address), "the instance is reached")
    agent.intend("echo", caller="deny")
    eventually(lambda: not scene.reaches(address), "the instance is refused")

    def arrived() -> int:
        found = counters(envoy_below(scene.echo.pid), r"^listener\..*20000\.downstream_cx_total$")
        return sum(found.values())

    before = arrived()
    assert not scene.reaches(address)
    assert not scene.reaches("echo.virtual.consul")
    assert arrived() == before
    agent.intend("echo")
    agent.request("DELETE", "/v1/config/service-defaults/echo")
