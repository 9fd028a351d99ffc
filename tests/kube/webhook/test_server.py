"""Webhooks are served over HTTPS until they are told to stop, and then to the end."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pellucid.kube.webhook.server import listening, serve, withdrawing
from tests.self_signed import self_signed

Handler = Callable[[Request], Awaitable[Response]]


async def measured(request: Request) -> Response:
    """How long the body is."""
    return PlainTextResponse(str(len(await request.body())))


class Serving:
    """A server and a client that trusts it."""

    def __init__(self, port: int, trusting: ssl.SSLContext) -> None:
        self.stop = asyncio.Event()
        self.client = httpx2.AsyncClient(
            base_url=f"https://localhost:{port}", verify=trusting, trust_env=False
        )


@asynccontextmanager
async def serving(handler: Handler, directory: Path) -> AsyncIterator[Serving]:
    signed, pair = self_signed("localhost"), directory / "pair.pem"
    pair.write_bytes(signed.key + signed.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    listener = listening("127.0.0.1", 0)
    found = Serving(listener.getsockname()[1], ssl.create_default_context(cadata=signed.certificate.decode()))
    app = Starlette(routes=[Route("/", handler, methods=["POST"])])
    running = asyncio.create_task(serve(app, listener, context, found.stop))
    async with found.client:
        yield found
    found.stop.set()
    await running


async def test_a_request_that_has_begun_is_answered_after_the_stop(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        begun.set()
        await go_on.wait()
        return PlainTextResponse("done")

    async with serving(slow, tmp_path) as served:
        asking = asyncio.create_task(served.client.post("/"))
        await begun.wait()
        served.stop.set()
        go_on.set()
        assert (await asking).text == "done"


async def test_one_that_leaves_ends_each_connection_with_its_answer() -> None:
    leaving = False
    app = withdrawing(Starlette(routes=[Route("/", measured, methods=["POST"])]), lambda: leaving)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://webhook") as client:
        assert "connection" not in (await client.post("/", content=b"x")).headers
        leaving = True
        answer = await client.post("/", content=b"xy")
        assert (answer.text, answer.headers["connection"]) == ("2", "close")


async def test_signals_stay_the_processs_affair(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with serving(measured, tmp_path) as served:
        await served.client.post("/")
        assert signal.getsignal(signal.SIGTERM) is before


def test_a_port_that_is_taken_is_an_error() -> None:
    with listening("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        listening("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_without_a_host_every_address_is_listened_on(address: str) -> None:
    with listening("", 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection((address, port)).close()


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with listening("127.0.0.1", 0) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        client.close()
        accepted.close()
