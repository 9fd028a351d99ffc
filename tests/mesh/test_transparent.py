"""Unmodified programs reach each other through two Envoys, by every name and in every protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pellucid.demo.evidence import counters, envoy_below
from pellucid.demo.stage import Program
from tests.mesh.mesh import Agent, Workload, calling_workload, running_agent, serving_workload

pytestmark = pytest.mark.root

SERVERS = {"echo": ("echo.py", "tcp"), "web": ("web.py", "http"), "rpc": ("greeter.py", "http2")}
SERVERS["greeter"] = ("greeter.py", "grpc")


class Scene:
    """A server for each protocol, and a program that calls them."""

    def __init__(self, agent: Agent, stack: ExitStack) -> None:
        self.agent = agent
        for name, (_, protocol) in SERVERS.items():
            agent.defaults(name, protocol=protocol)
        self.servers: dict[str, Program] = {
            name: stack.enter_context(serving_workload(agent, name, script))
            for name, (script, _) in SERVERS.items()
        }
        self.caller: Workload = stack.enter_context(calling_workload(agent, "caller", "-upstream=echo:9191"))

    def handshakes(self, server: str) -> int:
        """How many mutual-TLS handshakes a server's Envoy has had with other sidecars."""
        envoy = envoy_below(self.servers[server].pid)
        return sum(counters(envoy, r"^listener\..*20000\.ssl\.handshake$").values())

    def addresses(self, name: str) -> dict[int, str]:
        """What a name leads to, by the version of IP."""
        return {6 if ":" in found else 4: found for found in self.caller.ask("resolve", name)}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with running_agent() as agent, ExitStack() as stack:
        yield Scene(agent, stack)


@pytest.mark.parametrize("name", ["echo.virtual.consul", "echo.service.consul", "echo"])
def test_a_service_is_called_by_name_in_mutual_tls(scene: Scene, name: str) -> None:
    before = scene.handshakes("echo")
    assert scene.caller.ask("echo", name, 8080, "a word") == "a word"
    assert scene.handshakes("echo") == before + 1


@pytest.mark.parametrize("name", ["echo.virtual.consul", "echo.service.consul"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_name_leads_to_a_virtual_address_of_each_family_and_both_work(
    scene: Scene, name: str, version: int
) -> None:
    address = scene.addresses(name)[version]
    assert address.startswith("240." if version == 4 else "fd")
    before = scene.handshakes("echo")
    assert scene.caller.ask("echo", address, 8080, "a word") == "a word"
    assert scene.handshakes("echo") == before + 1


def test_an_explicit_upstream_works_beside_inferred_ones(scene: Scene) -> None:
    before = scene.handshakes("echo")
    assert scene.caller.ask("echo", "127.0.0.1", 9191, "a word") == "a word"
    assert scene.caller.ask("echo", "echo.virtual.consul", 8080, "a word") == "a word"
    assert scene.handshakes("echo") == before + 2
    assert scene.caller.ask("get", "web.virtual.consul", 8080) == [200, "hello"]


def test_http_is_called_in_mutual_tls(scene: Scene) -> None:
    assert scene.caller.ask("get", "web.virtual.consul", 8080) == [200, "hello"]
    assert scene.handshakes("web") > 0


@pytest.mark.parametrize("server", ["rpc", "greeter"])
def test_grpc_calls_and_streams_pass_in_mutual_tls(scene: Scene, server: str) -> None:
    target = f"{server}.virtual.consul:8080"
    assert scene.caller.ask("greet_once", target, "you") == "hello you"
    assert scene.caller.ask("greet", target, ["a", "b", "c"]) == ["hello a", "hello b", "hello c"]
    assert scene.handshakes(server) > 0
