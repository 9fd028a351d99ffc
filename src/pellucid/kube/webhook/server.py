"""A webhook is served: HTTPS with a certificate that changes, to the last request."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_CONNECTIONS = 512
STOP_SECONDS = 10
KEPT_OPEN_SECONDS = 120
"""How long a connection may be idle: the API server keeps its own, and a close could meet a question."""


def withdrawing(app: ASGIApp, is_leaving: Callable[[], bool]) -> ASGIApp:
    """The same; on leaving, each connection ends with its answer, so that the API server dials another."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and is_leaving():
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await app(scope, receive, sent)

    return answered


def listening(host: str, port: int) -> socket.socket:
    """A listening socket; an empty host is every address. Raises OSError when the port is taken."""
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    elif socket.has_dualstack_ipv6():
        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        listener = socket.create_server(("", port))
    # Connections inherit it. asyncio sets it for sockets of its own making only, and without it an answer
    # waits 40 ms for the acknowledgement of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def serve(
    app: ASGIApp, listener: socket.socket, context: ssl.SSLContext | None, stop: asyncio.Event
) -> None:
    """Serve until `stop`, then let requests end. context: None for plain HTTP."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEPT_OPEN_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        lifespan="off",
    )
    config.load()
    config.ssl = context
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
    await serving


class _Server(uvicorn.Server):
    """Signals are the process's affair, not the server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None of them."""
        yield
