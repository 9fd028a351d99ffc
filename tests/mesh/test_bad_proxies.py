"""Proxies that behave badly bother nobody else."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from tests.mesh.applications import Served, served
from tests.mesh.callers import Caller
from tests.mesh.mesh import PATIENCE_S, Agent, eventually, running_agent

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
STREAM = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


class Proxy:
    """A delta xDS client that answers only as the test says."""

    def __init__(self, channel: grpc.Channel, proxy_id: str, stack: ExitStack) -> None:
        self._requests: queue.SimpleQueue[DeltaDiscoveryRequest | None] = queue.SimpleQueue()
        stack.callback(self._requests.put, None)
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
        requests = iter(self._requests.get, None)
        self._responses = stub.DeltaAggregatedResources(requests, timeout=PATIENCE_S)
        stack.callback(self._responses.cancel)
        self._proxy_id = proxy_id

    def ask(self, type_url: str) -> None:
        request = DeltaDiscoveryRequest(type_url=type_url)
        request.node.id = self._proxy_id
        self._requests.put(request)

    def refuse(self, response: DeltaDiscoveryResponse) -> None:
        request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        request.error_detail.message = "no, thanks"
        self._requests.put(request)

    def next(self) -> DeltaDiscoveryResponse:
        return next(self._responses)


@contextmanager
def proxy(agent: Agent, proxy_id: str) -> Iterator[Proxy]:
    with grpc.insecure_channel(f"127.0.0.1:{agent.grpc_port}") as channel, ExitStack() as stack:
        yield Proxy(channel, proxy_id, stack)


class Scene:
    """A service whose proxy behaves well, and who calls it."""

    def __init__(self, agent: Agent, directory: Path, stack: ExitStack) -> None:
        self.agent = agent
        self.echo: Served = stack.enter_context(served(agent, "echo", "echo.py"))
        agent.register("a")
        self._identity = agent.identity("a", directory)

    def is_well(self) -> bool:
        """A change still reaches the good proxy, and its connections still work."""
        caller = Caller(self._identity, self.echo.port)
        assert caller.say(b"word") == b"word"
        caller.ended_after(self.agent.intend("echo", a="deny"))
        self.agent.intend("echo")
        eventually(lambda: Caller(self._identity, self.echo.port).say(b"word"), "a is let in again")
        return True


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with running_agent() as agent, ExitStack() as stack:
        yield Scene(agent, tmp_path_factory.mktemp("identities"), stack)


def test_a_proxy_that_refuses_everything_is_not_sent_the_same_again(scene: Scene) -> None:
    agent = scene.agent
    agent.register("stubborn", sidecar_port=21_910)
    with proxy(agent, "stubborn-sidecar-proxy") as stubborn:
        refused: list[DeltaDiscoveryResponse] = []
        for type_url in (CLUSTER, LISTENER):
            stubborn.ask(type_url)
            refused.append(stubborn.next())
            stubborn.refuse(refused[-1])
        eventually(lambda: agent.metric("xds.server.nacks") >= len(refused), "the refusals are counted")
        assert scene.is_well()
        # The change that follows is the next thing it hears: what it refused has not been repeated.
        agent.defaults("stubborn", protocol="http")
        news = stubborn.next()
        names = {resource.name: resource.version for resource in news.resources}
        earlier = {(each.name, each.version) for response in refused for each in response.resources}
        assert names
        assert not earlier & set(names.items())


def test_a_proxy_that_is_not_registered_waits_until_it_is(scene: Scene) -> None:
    with proxy(scene.agent, "later-sidecar-proxy") as later:
        later.ask(CLUSTER)
        eventually(lambda: scene.agent.metric("xds.server.streams") == 2, "the stream is there")
        assert scene.is_well()
        scene.agent.register("later", sidecar_port=21_911)
        assert "local_app" in {resource.name for resource in later.next().resources}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xff\xff\xff garbage", grpc.StatusCode.INVALID_ARGUMENT),
        (b"", grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x00" * (5 << 20), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
    ids=["garbage", "empty", "too long"],
)
def test_a_message_that_is_no_request_ends_its_stream_only(
    scene: Scene, message: bytes, code: grpc.StatusCode
) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{scene.agent.grpc_port}") as channel:
        with pytest.raises(grpc.RpcError) as ended:
            list(channel.stream_stream(STREAM)(iter([message]), timeout=PATIENCE_S))
        assert ended.value.code() is code
    assert scene.is_well()


@pytest.mark.parametrize(
    "greeting",
    [b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 64, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\xff\xff\xff"],
    ids=["HTTP/1", "noise", "half a frame"],
)
def test_a_connection_that_speaks_no_grpc_bothers_nobody(scene: Scene, greeting: bytes) -> None:
    with socket.create_connection(("127.0.0.1", scene.agent.grpc_port), timeout=PATIENCE_S) as connection:
        connection.sendall(greeting)
        assert scene.is_well()
