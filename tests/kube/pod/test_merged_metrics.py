"""Envoy's counters and the application's on one page, whichever of them is there."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

import pytest

from pellucid.dataplane.envoy_admin import EnvoyAdmin
from pellucid.kube.pod.merged_metrics import merged
from pellucid.kube.pod.settings import Metrics


async def page(envoy: bytes, application: bytes, *, merging: bool = True) -> str:
    """What is served when these answer; empty: nobody listens."""
    async with AsyncExitStack() as stack:

        async def serve(answer: bytes) -> int:
            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
                writer.close()

            server = await asyncio.start_server(handle, "127.0.0.1", 0)
            port: int = server.sockets[0].getsockname()[1]
            if answer:
                stack.push_async_exit(server)
            else:
                server.close()
            return port

        admin_port, application_port = await serve(envoy), await serve(application)

        async def dial() -> socket.socket:
            dialling = socket.socket()
            dialling.setblocking(False)
            await asyncio.get_running_loop().sock_connect(dialling, ("127.0.0.1", admin_port))
            return dialling

        metrics = Metrics(merged_port=20100, application_port=application_port if merging else 0)
        return await merged(EnvoyAdmin(dial), metrics)


ENVOY = b"HTTP/1.1 200 OK\r\n\r\nenvoy_requests 1\n"
APPLICATION = b"HTTP/1.1 200 OK\r\n\r\ngreetings 7\n"


async def test_both_are_on_the_page() -> None:
    assert await page(ENVOY, APPLICATION) == "envoy_requests 1\ngreetings 7\n"


async def test_without_merging_it_is_envoys_alone() -> None:
    assert await page(ENVOY, APPLICATION, merging=False) == "envoy_requests 1\n"


@pytest.mark.parametrize("application", [b"", b"HTTP/1.1 500 No\r\n\r\noh\n", b"no http\r\n"])
async def test_an_application_that_fails_takes_nothing_of_envoys_away(
    application: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert await page(ENVOY, application) == "envoy_requests 1\n"
    assert "no metrics of the application's" in caplog.text


async def test_an_envoy_that_fails_makes_an_empty_page() -> None:
    assert await page(b"", APPLICATION) == ""
