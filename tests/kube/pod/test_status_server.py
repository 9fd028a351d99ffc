"""The sidecar's own HTTP server takes what probes and scrapers send, and little else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pellucid.kube.pod.status_server import Answer, serve


async def ready() -> Answer:
    return Answer(503, "waiting for the login: nobody there\n")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await serve("127.0.0.1", 0, {"/ready": ready})
    yield server.sockets[0].getsockname()[1]
    server.close()


async def ask(port: int, sent: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    return answer.decode()


async def test_a_page_says_its_status_and_why(port: int) -> None:
    answer = await ask(port, b"GET /ready?verbose HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
    assert answer.endswith("waiting for the login: nobody there\n")


async def test_a_page_is_found_behind_two_slashes_as_old_kubelets_ask_for_a_hook(port: int) -> None:
    answer = await ask(port, b"GET //ready HTTP/1.1\r\n\r\n")
    assert answer.startswith("HTTP/1.1 503 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /other HTTP/1.1\r\n\r\n", "404"),
        (b"POST /ready HTTP/1.1\r\n\r\n", "405"),
        (b"nonsense\r\n\r\n", "400"),
        (b"\xff\xfe \r\n\r\n", "400"),
        (b"GET /ready HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", "400"),
    ],
)
async def test_everything_else_is_refused(port: int, sent: bytes, status: str) -> None:
    assert (await ask(port, sent)).startswith(f"HTTP/1.1 {status} ")
