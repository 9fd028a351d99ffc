"""What becomes of a connection that a program in the mesh opens: by its address, and by intentions."""

from __future__ import annotations

import uuid
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

    def reaches(self, address: str, words: str = WORDS) -> bool:
        """Whether an echo comes back."""
        try:
            return bool(self.caller.ask("echo", address, 8080, words) == words)
        except CallFailed:
            return False

    def was_heard_outside(self, words: str) -> bool:
        """Whether these words got outside before others that are sent there now."""
        last = f"{WORDS}: {uuid.uuid4()}"
        assert self.reaches(ELSEWHERE[0], last)
        self.outside.wait_for(lambda line: last in line)
        return any(words in line.text for line in self.outside.lines)

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
    for address in (VIRTUAL, *scene.caller.ask("resolve", "db.virtual.consul")):
        assert not scene.reaches(address, f"for {address} alone")
        assert not scene.was_heard_outside(f"for {address} alone")

    agent.deregister("db-sidecar-proxy")
    eventually(lambda: VIRTUAL not in scene.outbound_listener(), "the caller forgets the address")
    assert scene.reaches(VIRTUAL, "for whoever is there")
    assert scene.was_heard_outside("for whoever is there")


def test_a_virtual_address_that_nobody_has_is_refused(scene: Scene) -> None:
    assert not scene.reaches("240.0.200.200", "for nobody")
    assert not scene.was_heard_outside("for nobody")


def test_with_mesh_destinations_only_nothing_leaves_the_mesh(scene: Scene) -> None:
    agent = scene.agent
    assert scene.reaches(ELSEWHERE[0])
    agent.put("/v1/config", {"Kind": "mesh", "TransparentProxy": {"MeshDestinationsOnly": True}})
    eventually(lambda: not scene.reaches(ELSEWHERE[0]), "what is outside is refused")
    assert not any(scene.reaches(address, "not for outside") for address in ELSEWHERE)
    assert scene.reaches("echo.virtual.consul")
    agent.request("DELETE", "/v1/config/mesh/mesh")
    eventually(lambda: scene.reaches(ELSEWHERE[0]), "what is outside is reached again")
    assert not scene.was_heard_outside("not for outside")


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
