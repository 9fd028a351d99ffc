"""The ADS server over real gRPC: transports, bad manners, and what many streams cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from grpc import aio

from pellucid.xds.server import MAX_REQUEST_BYTES
from pellucid.xds.subscription import MAX_NAMES, Refusal
from tests.self_signed import self_signed
from tests.xds.configuration import CLUSTER, ENDPOINT
from tests.xds.delta_client import DeltaClient
from tests.xds.toy_mesh import ToyMesh, eventually, toy_mesh

SOTW_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[ToyMesh, str]]:
    """A toy mesh, and the address its server listens on."""
    async with toy_mesh() as mesh:
        port = mesh.server.listen("127.0.0.1:0")
        await mesh.server.start()
        yield mesh, f"127.0.0.1:{port}"


# Transports


async def gets_all(mesh: ToyMesh, target: str, credentials: grpc.ChannelCredentials | None = None) -> None:
    async with DeltaClient(target, "p", credentials=credentials) as client:
        await client.ask(CLUSTER)
        await client.until_held(CLUSTER, {"web": "1", "api": "1"})
        await mesh.services(web=2)
        await client.until_held(CLUSTER, {"web": "2", "api": "1"})
        await mesh.remove("api")
        await client.until_held(CLUSTER, {"web": "2"})


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_serves_over_tcp(host: str) -> None:
    async with toy_mesh() as mesh:
        port = mesh.server.listen(f"{host}:0")
        await mesh.server.start()
        await gets_all(mesh, f"{host}:{port}")


async def test_serves_over_a_unix_socket(tmp_path: Path) -> None:
    async with toy_mesh() as mesh:
        mesh.server.listen(f"unix:{tmp_path}/xds")
        await mesh.server.start()
        await gets_all(mesh, f"unix:{tmp_path}/xds")


async def test_serves_over_tls() -> None:
    own = self_signed("localhost")
    async with toy_mesh() as mesh:
        credentials = grpc.ssl_server_credentials([(own.key, own.certificate)])
        port = mesh.server.listen("localhost:0", credentials)
        await mesh.server.start()
        await gets_all(mesh, f"localhost:{port}", grpc.ssl_channel_credentials(own.certificate))


async def test_an_address_that_cannot_be_had_is_named() -> None:
    async with served() as (mesh, target):
        with pytest.raises(OSError, match=target):
            mesh.server.listen(target)


async def test_serves_the_state_of_the_world_too() -> None:
    async with served() as (mesh, target), aio.insecure_channel(target) as channel:
        call: Any = channel.stream_stream(
            SOTW_METHOD,
            discovery_pb2.DiscoveryRequest.SerializeToString,
            discovery_pb2.DiscoveryResponse.FromString,
        )()
        await call.write(discovery_pb2.DiscoveryRequest(node={"id": "p"}, type_url=str(CLUSTER)))
        first = await call.read()
        await call.write(
            discovery_pb2.DiscoveryRequest(
                type_url=str(CLUSTER), version_info=first.version_info, response_nonce=first.nonce
            )
        )
        await mesh.services(new=1)
        second = await call.read()

    assert [len(first.resources), len(second.resources)] == [2, 3]
    assert first.version_info != second.version_info


# Who is served


async def test_a_proxy_that_is_not_registered_is_served_when_it_is() -> None:
    async with served() as (mesh, target), DeltaClient(target, "late") as client:
        await client.ask(CLUSTER)
        await client.ask(ENDPOINT, "web")
        await eventually(lambda: mesh.server.connected() == ("late",))
        assert not client.responses

        await mesh.proxies("late")

        await client.until_held(ENDPOINT, {"web": "1"})
        assert client.versions(CLUSTER) == {"web": "1", "api": "1"}


async def test_a_refused_stream_ends_with_the_code_and_the_reason() -> None:
    async with served() as (_, target), DeltaClient(target, "p", credential="stolen") as client:
        await client.ask(CLUSTER)
        assert await client.end() == (grpc.StatusCode.PERMISSION_DENIED, "permission denied: not yours")


async def test_an_error_of_the_server_says_nothing_of_its_insides() -> None:
    async with served() as (mesh, target), DeltaClient(target, "p", credential="surprising") as client:
        await client.ask(CLUSTER)
        code, details = await client.end()

        assert code is grpc.StatusCode.INTERNAL
        assert "secret" not in details
        await eventually(lambda: not mesh.server.connected())


# Bad manners


@pytest.mark.parametrize("after_a_good_request", [False, True])
async def test_bytes_that_are_no_request_end_the_stream(after_a_good_request: bool) -> None:
    async with served() as (mesh, target), DeltaClient(target, "p") as client:
        if after_a_good_request:
            await client.ask(CLUSTER)
            await client.until(lambda: client.responses)
        await client.call.write(b"\xff\xff\xff garbage")

        code, details = await client.end()

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "not a envoy.service.discovery.v3.DeltaDiscoveryRequest" in details
        await gets_all(mesh, target)


async def test_a_request_without_a_type_ends_the_stream() -> None:
    async with served() as (_, target), DeltaClient(target, "p") as client:
        await client.ask("")
        assert await client.end() == (grpc.StatusCode.INVALID_ARGUMENT, "type URL is required for ADS")


async def test_a_request_that_is_too_large_ends_the_stream() -> None:
    async with served() as (_, target), DeltaClient(target, "p") as client:
        await client.ask(ENDPOINT, "x" * MAX_REQUEST_BYTES)
        code, _ = await client.end()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_stream_that_asks_for_too_many_names_is_ended() -> None:
    async with served() as (_, target), DeltaClient(target, "p") as client:
        await client.ask(ENDPOINT, *(str(number) for number in range(MAX_NAMES + 1)))
        code, details = await client.end()
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert str(MAX_NAMES) in details


async def test_a_proxy_that_refuses_everything_is_not_sent_it_over_and_over() -> None:
    async with (
        served() as (mesh, target),
        DeltaClient(target, "p", refuses=lambda response: "never") as client,
    ):
        await client.ask(ENDPOINT, "web")
        await eventually(lambda: mesh.server.statistics.nacks == 1)
        assert mesh.server.refusals() == {"p": {(ENDPOINT, "web"): Refusal("1", "never")}}

        await mesh.services(web=2)
        await eventually(lambda: mesh.server.statistics.nacks == 2)
        await mesh.services(api=2)
        await client.ask(ENDPOINT, "api")
        await eventually(lambda: mesh.server.statistics.nacks == 3)

        sent = [[each.name + each.version for each in response.resources] for response in client.responses]
        assert sent == [["web1"], ["web2"], ["api2"]]


@pytest.mark.parametrize("proxy_id", ["p", "not registered"])
async def test_a_client_that_has_no_more_to_say_ends_the_stream(proxy_id: str) -> None:
    async with served() as (mesh, target), DeltaClient(target, proxy_id) as client:
        await client.ask(CLUSTER)
        await eventually(mesh.server.connected)
        await client.call.done_writing()

        assert await client.end() == (grpc.StatusCode.OK, "")
        await eventually(lambda: not mesh.server.connected())


async def test_a_stream_without_any_request_ends_with_its_client() -> None:
    async with served() as (_, target), DeltaClient(target, "p") as client:
        await client.call.done_writing()
        assert await client.end() == (grpc.StatusCode.OK, "")


# What is left behind


@pytest.mark.parametrize("proxy_id", ["p", "not registered"])
async def test_a_client_that_breaks_off_leaves_nothing_behind(proxy_id: str) -> None:
    async with served() as (mesh, target):
        async with DeltaClient(target, proxy_id) as client:
            await client.ask(CLUSTER)
            await client.ask(ENDPOINT, "web")
            if proxy_id == "p":
                await client.until_held(ENDPOINT, {"web": "1"})
                assert len(mesh.topics) == 3
            await eventually(mesh.server.connected)

        await eventually(lambda: not mesh.server.connected())
        assert len(mesh.topics) == 0
        assert mesh.engine.watched_inputs == 0


async def test_names_let_go_of_are_watched_no_more() -> None:
    async with served() as (mesh, target), DeltaClient(target, "p") as client:
        await client.ask(ENDPOINT, "web", "api")
        await client.until_held(ENDPOINT, {"web": "1", "api": "1"})

        await client.ask(ENDPOINT, resource_names_unsubscribe=["web"])

        await eventually(lambda: len(mesh.topics) == 1)


async def test_stopping_ends_streams_at_once_and_says_why() -> None:
    async with (
        served() as (mesh, target),
        DeltaClient(target, "p") as admitted,
        DeltaClient(target, "q") as waiting,
    ):
        for client in (admitted, waiting):
            await client.ask(CLUSTER)
        await admitted.until(lambda: admitted.responses)
        await eventually(lambda: len(mesh.server.connected()) == 2)

        await mesh.server.stop(grace_seconds=3_600)

        for client in (admitted, waiting):
            assert await client.end() == (grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        assert mesh.engine.watched_inputs == 0


# What cannot be built


async def test_a_resource_that_cannot_be_built_stays_as_it_was_and_is_complained_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as (mesh, target), DeltaClient(target, "p") as one, DeltaClient(target, "p") as other:
        for client in (one, other):
            await client.ask(CLUSTER)
            await client.until_held(CLUSTER, {"web": "1", "api": "1"})

        await mesh.services(web=-1, api=2)
        for client in (one, other):
            await client.until_held(CLUSTER, {"web": "1", "api": "2"})
        await mesh.services(web=3)
        for client in (one, other):
            await client.until_held(CLUSTER, {"web": "3", "api": "2"})

    assert sum("web is broken" in record.getMessage() for record in caplog.records) == 1


# What many cost


async def test_a_change_is_derived_once_for_all_streams_and_sent_once_to_each() -> None:
    async with served() as (mesh, target), contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(DeltaClient(target, "p")) for _ in range(200)]
        for client in clients:
            await client.ask(ENDPOINT, "web", "api")
        await asyncio.gather(*(each.until_held(ENDPOINT, {"web": "1", "api": "1"}) for each in clients))
        await eventually(lambda: mesh.server.statistics.acks == 200)
        assert len(mesh.topics) == 2
        before = mesh.engine.counts.evaluated

        await mesh.services(web=2)
        await asyncio.gather(*(each.until_held(ENDPOINT, {"web": "2", "api": "1"}) for each in clients))

        evaluated = mesh.engine.counts.evaluated - before
        assert evaluated == 2, "the resource, and which resources there are"
        assert mesh.server.statistics.responses == 400
        assert mesh.server.statistics.bytes == sum(each.received_bytes for each in clients)
        assert mesh.server.statistics.resources == 600
