"""A deny reaches connections that are already open, and only those: from the intention to a real Envoy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from pellucid.model.config_entries import ServiceDefaults
from pellucid.model.services import Proxy, Upstream
from pellucid.state.mesh_tables import CONFIG_ENTRIES
from pellucid.state.tables import Put
from tests.xds import sidecar
from tests.xds.mesh import Mesh, serving
from tests.xds.sidecar import Caller

PROMISED_S = 1.0
"""The promise: a deny has ended open connections after this long, from the commit on."""


class Scene:
    """The service `app` behind its sidecar, and others that call it."""

    def __init__(self, mesh: Mesh, port: int, directory: Path) -> None:
        self.mesh, self.port, self.directory = mesh, port, directory
        self.callers: list[Caller] = []

    async def caller(self, name: str) -> Caller:
        """A connection to `app` as some service."""
        caller = await Caller.connect(self.mesh, name, self.port, self.directory)
        self.callers.append(caller)
        return caller


@contextlib.asynccontextmanager
async def _scene(protocol: str, directory: Path) -> AsyncIterator[Scene]:
    mesh = Mesh()
    port = sidecar.free_port()
    app = await asyncio.start_server(sidecar.echo if protocol == "tcp" else sidecar.web, "127.0.0.1", 0)
    app_port = app.sockets[0].getsockname()[1]
    mesh.commit(Put(CONFIG_ENTRIES, ServiceDefaults(name="app", protocol=protocol)))
    proxy = Proxy(destination_service_name="app", local_service_port=app_port)
    proxy_id = mesh.register("app", proxy=proxy, port=port)
    for name in ("a", "b"):
        mesh.register(name, number=ord(name))
    async with serving(mesh) as (_, xds_port), sidecar.envoy(xds_port, proxy_id, directory):
        scene = Scene(mesh, port, directory)
        try:
            yield scene
        finally:
            for caller in scene.callers:
                caller.close()
            app.close()


@pytest.fixture
async def tcp(tmp_path: Path) -> AsyncIterator[Scene]:
    async with _scene("tcp", tmp_path) as scene:
        yield scene


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[Scene]:
    async with _scene("http", tmp_path) as scene:
        yield scene


async def test_a_deny_ends_open_connections_of_that_source_and_no_others(tcp: Scene) -> None:
    a, b = await tcp.caller("a"), await tcp.caller("b")
    assert (await a.read(), await b.read()) == (b"welcome", b"welcome")
    async with asyncio.timeout(PROMISED_S):
        tcp.mesh.intend("app", a="deny")
        await a.ended()
    assert await b.say(b"still here") == b"still here"
    assert await (await tcp.caller("a")).read() == b""


async def test_a_deny_of_everyone_ends_everything_but_what_is_allowed_by_name(tcp: Scene) -> None:
    a, b, stranger = [await tcp.caller(name) for name in ("a", "b", "stranger")]
    for caller in (a, b, stranger):
        assert await caller.read() == b"welcome"
    async with asyncio.timeout(PROMISED_S):
        tcp.mesh.intend("app", any="deny", b="allow")
        await asyncio.gather(a.ended(), stranger.ended())
    assert await b.say(b"still here") == b"still here"


async def test_what_was_denied_can_be_allowed_again(tcp: Scene) -> None:
    assert await (await tcp.caller("a")).read() == b"welcome"
    tcp.mesh.intend("app", a="deny")
    while await (await tcp.caller("a")).read():
        pass
    tcp.mesh.intend("app")
    while await (await tcp.caller("a")).read() != b"welcome":
        pass


async def test_an_identity_the_catalog_does_not_know_is_cut_off_when_denied_by_name(tcp: Scene) -> None:
    stranger, b = await tcp.caller("stranger"), await tcp.caller("b")
    assert (await stranger.read(), await b.read()) == (b"welcome", b"welcome")
    async with asyncio.timeout(PROMISED_S):
        tcp.mesh.intend("app", stranger="deny")
        await stranger.ended()
    assert await b.say(b"still here") == b"still here"


@pytest.mark.parametrize(
    "change",
    ["another source is denied", "another destination", "a new service", "a service goes", "rotation"],
)
async def test_unrelated_changes_cut_nobody(tcp: Scene, change: str) -> None:
    a, b = await tcp.caller("a"), await tcp.caller("b")
    assert (await a.read(), await b.read()) == (b"welcome", b"welcome")
    mesh = tcp.mesh
    match change:
        case "another source is denied":
            mesh.intend("app", batch="deny")
        case "another destination":
            mesh.intend("db", a="deny")
        case "a new service":
            mesh.register("db")
        case "a service goes":
            mesh.deregister("b")
        case "rotation":
            mesh.rotate("app")
    # The deny of `b` comes after the change, so once it has bitten the change has arrived as well.
    mesh.intend("app", b="deny", batch="deny")
    await b.ended()
    assert await a.say(b"still here") == b"still here"


async def test_a_denied_request_on_an_open_connection_is_answered_403(http: Scene) -> None:
    a, b = await http.caller("a"), await http.caller("b")
    assert (await a.get("/"), await b.get("/")) == (200, 200)
    http.mesh.intend("app", a="deny")
    async with asyncio.timeout(PROMISED_S):
        # A request that is just under way is answered 503.
        while await a.get("/") != 403:
            pass
    assert (await a.get("/"), await b.get("/")) == (403, 200)


async def test_a_deny_ends_responses_under_way_of_that_source_and_no_others(http: Scene) -> None:
    a, b = await http.caller("a"), await http.caller("b")
    assert (await a.get("/stream"), await b.get("/stream")) == (200, 200)
    async with asyncio.timeout(PROMISED_S):
        http.mesh.intend("app", a="deny")
        await a.ended()
    assert b"hello" in await b.read()


async def test_a_deny_ends_a_grpc_stream_under_way(tmp_path: Path) -> None:
    mesh, local_port = Mesh(), sidecar.free_port()
    mesh.commit(Put(CONFIG_ENTRIES, ServiceDefaults(name="app", protocol="grpc")))
    upstream = Upstream("app", local_bind_port=local_port, config={"protocol": "grpc"})
    calling = Proxy(destination_service_name="a", upstreams=(upstream,))
    mesh.register("a", proxy=calling, port=sidecar.free_port())
    async with (
        _grpc_application() as app_port,
        serving(mesh) as (_, xds_port),
        sidecar.envoy(xds_port, "app-sidecar-proxy", tmp_path),
        sidecar.envoy(xds_port, "a-sidecar-proxy", tmp_path),
        grpc.aio.insecure_channel(f"127.0.0.1:{local_port}") as channel,
    ):
        called = Proxy(destination_service_name="app", local_service_port=app_port)
        mesh.register("app", proxy=called, port=sidecar.free_port())
        health = health_pb2_grpc.HealthStub(channel)
        while await _status(health) is not grpc.StatusCode.OK:
            pass
        watching = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        mesh.intend("app", a="deny")
        with pytest.raises(grpc.aio.AioRpcError):
            await watching.read()
        while await _status(health) is not grpc.StatusCode.PERMISSION_DENIED:
            pass


@contextlib.asynccontextmanager
async def _grpc_application() -> AsyncIterator[int]:
    """A server of the health service, whose `Watch` is a stream without end; gives its port."""
    server = grpc.aio.server()
    servicer = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def _status(health: health_pb2_grpc.HealthStub) -> grpc.StatusCode:
    try:
        await health.Check(health_pb2.HealthCheckRequest())
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_a_peer_that_speaks_no_tls_does_not_reach_the_application(tcp: Scene) -> None:
    assert await (await tcp.caller("a")).read() == b"welcome"
    reader, writer = await asyncio.open_connection("127.0.0.1", tcp.port)
    writer.write(b"in plain text")
    tls_alert = 0x15
    assert (await reader.read())[0] == tls_alert
    writer.close()
