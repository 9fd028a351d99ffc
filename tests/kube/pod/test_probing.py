"""The sidecar asks its application on loopback what the kubelet wants to know."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.kube.pod.probing import probed
from pellucid.kube.probe_targets import SCHEMES, InvalidTargetError, ProbeTarget, parse_target
from tests.self_signed import self_signed

Application = Callable[..., Awaitable[int]]


def target(scheme: str, port: int, path: str = "") -> ProbeTarget:
    return ProbeTarget("app", "readinessProbe", scheme, port, path)


@pytest.fixture
async def seen() -> list[str]:
    """The heads of requests that the application got."""
    return []


@pytest.fixture
async def application(seen: list[str], tmp_path: Path) -> AsyncIterator[Application]:
    """Starts an application that answers with a status line; returns its port."""
    servers: list[asyncio.Server] = []

    async def start(status: str, tls: bool = False) -> int:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        context = None
        if tls:
            context = self_signed("web").serving(tmp_path)
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()


def nobody() -> int:
    """A port at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


async def test_an_application_that_accepts_passes_a_tcp_probe(application: Application) -> None:
    assert (await probed(target("tcp", await application("200 OK")))).status == 200


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_an_application_that_is_down_fails_and_it_is_said_why(scheme: str) -> None:
    port = nobody()
    answer = await probed(target(scheme, port, "" if scheme == "tcp" else "/healthz"))
    assert answer.status == 503
    assert answer.text.startswith(f"{scheme} port {port}: ")
    assert "refused" in answer.text


@pytest.mark.parametrize(
    ("status", "passes"), [("204 No Content", 200), ("302 Found", 200), ("404 Nope", 503)]
)
async def test_an_http_probe_passes_by_the_kubelets_rule(
    application: Application, status: str, passes: int
) -> None:
    answer = await probed(target("http", await application(status), "/healthz"))
    assert (answer.status, answer.text.split()[-1]) == (passes, status.split()[0])


async def test_an_https_probe_takes_any_certificate(application: Application, seen: list[str]) -> None:
    port = await application("200 OK", tls=True)
    answer = await probed(target("https", port, "/healthz?full=1"))
    assert answer.status == 200
    assert seen[0].startswith("GET /healthz?full=1 ")


@given(
    st.sampled_from(("livenessProbe", "readinessProbe", "startupProbe", "preStop")),
    st.sampled_from(("http", "https")),
    st.integers(1, 65_535),
    st.text(st.characters(min_codepoint=32, max_codepoint=126)),
)
def test_a_target_is_read_as_it_is_written(kind: str, scheme: str, port: int, path: str) -> None:
    written = ProbeTarget("app", kind, scheme, port, f"/{path}")
    assert parse_target(str(written)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app/readinessProbe",
        "app/readinessProbe=tcp://10.0.0.1:80",
        "app/readinessProbe=tcp://127.0.0.1:0",
        "app/readinessProbe=tcp://127.0.0.1:80/path",
        "app/readinessProbe=ftp://127.0.0.1:80",
        "=tcp://127.0.0.1:80",
    ],
)
def test_other_texts_are_no_targets(text: str) -> None:
    with pytest.raises(InvalidTargetError, match="is no probe"):
        parse_target(text)
