"""gRPC and HTTP/2 checks against a real gRPC server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from pellucid.health.probers import probe
from pellucid.health.probers.grpc import CHECK_METHOD, STATUS_NAMES, _request, _status_of, probe_grpc
from pellucid.health.probers.h2ping import probe_h2ping
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckStatus
from tests.health.definitions import SECOND, check
from tests.health.probers.servers import (
    Certificate,
    HttpAnswers,
    closed_port,
    http_answer,
    make_certificate,
    say_nothing,
    tcp_server,
)

PASSING, _, CRITICAL = CheckStatus
ServingStatus = health_pb2.HealthCheckResponse.ServingStatus


@asynccontextmanager
async def grpc_server(certificate: Certificate | None = None) -> AsyncIterator[int]:
    """A server whose service `web` serves and whose service `old` doesn't."""
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", ServingStatus.SERVING)
    await servicer.set("web", ServingStatus.SERVING)
    await servicer.set("old", ServingStatus.NOT_SERVING)
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (certificate.key_path.read_bytes(), certificate.path.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


class TestGrpc:
    """The standard health service."""

    @pytest.mark.parametrize("service", ["", "/web"])
    async def test_serving_is_passing(self, service: str) -> None:
        async with grpc_server() as port:
            target = f"127.0.0.1:{port}{service}"
            assert await probe_grpc(check(grpc=target)) == CheckResult(
                PASSING, f"gRPC check {target}: success"
            )

    async def test_not_serving_is_critical(self) -> None:
        async with grpc_server() as port:
            target = f"127.0.0.1:{port}/old"
            expected = CheckResult(CRITICAL, f"gRPC {target} serving status: NOT_SERVING")
            assert await probe_grpc(check(grpc=target)) == expected

    async def test_an_unknown_service_is_critical(self) -> None:
        async with grpc_server() as port:
            result = await probe_grpc(check(grpc=f"127.0.0.1:{port}/none"))
        assert result.status is CRITICAL
        assert result.output.startswith("rpc error: code = NotFound desc = ")

    async def test_no_server_is_critical(self) -> None:
        result = await probe_grpc(check(grpc=f"127.0.0.1:{await closed_port()}"))
        assert result.status is CRITICAL
        assert result.output.startswith("rpc error: code = Unavailable desc = ")

    async def test_silence_ends_with_the_timeout(self) -> None:
        async with tcp_server(say_nothing) as port:
            result = await probe_grpc(check(grpc=f"127.0.0.1:{port}", timeout_ns=SECOND // 5))
        assert result.status is CRITICAL

    async def test_an_address_without_port_is_critical(self) -> None:
        result = await probe_grpc(check(grpc="localhost/web"))
        assert result == CheckResult(CRITICAL, "dial tcp: address localhost: missing port in address")

    async def test_a_certificate_of_no_authority_is_refused(self, tmp_path: Path) -> None:
        async with grpc_server(make_certificate(tmp_path, "127.0.0.1")) as port:
            definition = check(grpc=f"127.0.0.1:{port}", grpc_use_tls=True)
            assert (await probe_grpc(definition)).status is CRITICAL

    @pytest.mark.parametrize("names", [(), ("web.internal",), ("*.internal",), ("10.9.9.9",)])
    async def test_any_certificate_does_when_told_to_skip_verification(
        self, tmp_path: Path, names: tuple[str, ...]
    ) -> None:
        async with grpc_server(make_certificate(tmp_path, *names)) as port:
            definition = check(grpc=f"127.0.0.1:{port}", grpc_use_tls=True, tls_skip_verify=True)
            result = await probe_grpc(definition)
        assert result.status is PASSING, result.output

    @pytest.mark.parametrize("service", ["", "web", "x" * 300])
    def test_the_request_is_what_the_health_package_writes(self, service: str) -> None:
        assert _request(service) == health_pb2.HealthCheckRequest(service=service).SerializeToString()

    @pytest.mark.parametrize("number", range(4))
    def test_the_response_is_read_as_the_health_package_reads_it(self, number: int) -> None:
        response = health_pb2.HealthCheckResponse(status=number)
        assert _status_of(response.SerializeToString()) == number
        assert STATUS_NAMES[number] == ServingStatus.Name(number)

    def test_the_method_is_the_standard_one(self) -> None:
        service = health_pb2.DESCRIPTOR.services_by_name["Health"]
        assert f"/{service.full_name}/Check" == CHECK_METHOD


class TestH2Ping:
    """HTTP/2 PING over TLS."""

    async def test_an_acknowledged_ping_is_passing(self, tmp_path: Path) -> None:
        async with grpc_server(make_certificate(tmp_path, "127.0.0.1")) as port:
            result = await probe_h2ping(check(h2ping=f"127.0.0.1:{port}", tls_skip_verify=True))
        assert result == CheckResult(PASSING, "HTTP2 ping was successful")

    async def test_a_server_of_http_1_is_critical(self, tmp_path: Path) -> None:
        context = make_certificate(tmp_path, "127.0.0.1").server_context()
        async with tcp_server(HttpAnswers(http_answer("200 OK")), context) as port:
            result = await probe_h2ping(check(h2ping=f"127.0.0.1:{port}", tls_skip_verify=True))
        assert result == CheckResult(CRITICAL, "HTTP2 ping failed: the server does not speak HTTP/2")

    async def test_an_unverified_certificate_is_critical(self, tmp_path: Path) -> None:
        async with grpc_server(make_certificate(tmp_path, "127.0.0.1")) as port:
            result = await probe_h2ping(check(h2ping=f"127.0.0.1:{port}"))
        assert result.status is CRITICAL
        assert result.output.startswith("HTTP2 ping failed: x509: ")

    async def test_no_server_is_critical(self) -> None:
        port = await closed_port()
        result = await probe_h2ping(check(h2ping=f"127.0.0.1:{port}"))
        reason = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
        assert result == CheckResult(CRITICAL, f"HTTP2 ping failed: {reason}")


async def test_each_type_has_its_prober() -> None:
    async with tcp_server(say_nothing) as port:
        assert (await probe(check(tcp=f"127.0.0.1:{port}"))).status is PASSING


async def test_a_type_that_is_not_run_says_so() -> None:
    result = await probe(check(docker_container_id="c1"))
    assert result.status is CRITICAL
    assert "'docker' are not run" in result.output
