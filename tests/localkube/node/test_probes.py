import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from pellucid.localkube.node.probes import ProbeTarget, keep_probing, probe_once


async def no_command(command: list[str]) -> tuple[int, str]:
    return 0, ""


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that answers `GET /N` with the status N."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).split()
        if len(words) > 1:
            writer.write(b"HTTP/1.1 %s X\r\nContent-Length: 0\r\n\r\n" % words[1].lstrip(b"/"))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def target(port: int) -> ProbeTarget:
    return ProbeTarget("127.0.0.1", {"web": port}, no_command)


@pytest.mark.parametrize(("status", "succeeds"), [(200, True), (399, True), (400, False), (503, False)])
async def test_http_succeeds_from_200_to_399(port: int, status: int, succeeds: bool) -> None:
    outcome = await probe_once({"httpGet": {"port": "web", "path": f"/{status}"}}, target(port))
    assert outcome.succeeded is succeeds
    if not succeeds:
        assert outcome.message == f"HTTP probe failed with statuscode: {status}"


async def test_tcp_succeeds_where_something_listens(port: int) -> None:
    assert (await probe_once({"tcpSocket": {"port": port}}, target(port))).succeeded
    refused = await probe_once({"tcpSocket": {"port": 1}}, target(port))
    assert not refused.succeeded
    assert refused.message == "dial tcp 127.0.0.1:1: connect: connection refused"


async def test_a_port_that_has_no_such_name_is_named(port: int) -> None:
    outcome = await probe_once({"tcpSocket": {"port": "nope"}}, target(port))
    assert outcome.message == "couldn't find port: nope"


async def test_a_command_is_judged_by_its_exit_code_and_quoted() -> None:
    async def failing(command: list[str]) -> tuple[int, str]:
        return 2, "why"

    outcome = await probe_once({"exec": {"command": ["x"]}}, ProbeTarget("", {}, failing))
    assert (outcome.succeeded, outcome.message) == (False, "why")


async def test_thresholds_decide_when_a_change_is_reported_and_every_failure_is_told() -> None:
    outcomes = iter([0, 1, 1, 0, 1, 1, 1, 1, 0])
    verdicts: list[bool] = []
    failures: list[str] = []
    done = asyncio.Event()

    async def scripted(command: list[str]) -> tuple[int, str]:
        code = next(outcomes, None)
        if code is None:
            done.set()
            await asyncio.Event().wait()
        return code or 0, "why"

    async def failed(said: str) -> None:
        failures.append(said)

    async def report(succeeded: bool) -> None:
        verdicts.append(succeeded)

    probe = {"exec": {"command": ["x"]}, "periodSeconds": 0, "failureThreshold": 3, "timeoutSeconds": 60}
    probing = asyncio.ensure_future(keep_probing(probe, ProbeTarget("", {}, scripted), failed, report))
    await done.wait()
    probing.cancel()
    assert verdicts == [True, False, True]
    assert failures == ["why"] * 6


async def test_a_container_that_has_just_been_started_is_asked_again_soon_and_blamed_once() -> None:
    statuses = iter((503, 503, 503))
    failures: list[str] = []
    verdicts: list[bool] = []
    succeeded = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % next(statuses, 200))
        writer.close()

    async def failed(said: str) -> None:
        failures.append(said)

    async def report(succeeds: bool) -> None:
        verdicts.append(succeeds)
        succeeded.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        probe = {"httpGet": {"port": server.sockets[0].getsockname()[1]}, "periodSeconds": 3600}
        probing = asyncio.ensure_future(keep_probing(probe, target(0), failed, report))
        await succeeded.wait()
        probing.cancel()
    assert verdicts == [True]
    assert failures == ["HTTP probe failed with statuscode: 503"]


@pytest.mark.parametrize(("answer", "succeeded"), [(b"\x08\x01", True), (b"\x08\x02", False)])
async def test_a_grpc_service_says_whether_it_serves(answer: bytes, succeeded: bool) -> None:
    asked: list[bytes] = []

    async def check(request: bytes, context: Any) -> bytes:
        asked.append(request)
        return answer

    server = grpc.aio.server()
    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        probe = {"grpc": {"port": port, "service": "web"}}
        outcome = await probe_once(probe, ProbeTarget("127.0.0.1", {}, no_command))
    finally:
        await server.stop(None)
    assert outcome.succeeded is succeeded
    assert asked == [b"\x0a\x03web"]


async def test_a_port_that_speaks_no_grpc_is_unhealthy(port: int) -> None:
    outcome = await probe_once({"grpc": {"port": port}}, ProbeTarget("127.0.0.1", {}, no_command))
    assert not outcome.succeeded
