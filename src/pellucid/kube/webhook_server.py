"""What webhooks share: HTTPS with a certificate that changes, bodies of a limited length."""

from __future__ import annotations

import asyncio
import ssl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request

MAX_BODY_BYTES = 3 << 20
"""What the API server takes as an object, and then some."""
STOP_SECONDS = 10


class TooLarge(Exception):
    """The body is longer than any object can be."""


async def body_of(request: Request) -> bytes:
    """The whole body. Raises TooLarge."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"a review may have {MAX_BODY_BYTES} bytes")
    return body


async def serve(app: Starlette, host: str, port: int, context: ssl.SSLContext, stop: asyncio.Event) -> None:
    """Serve until `stop`, then let requests end. Raises OSError when the port is taken."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        lifespan="off",
        ssl_certfile="",
    )
    config.load()
    config.ssl = context
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await serving


class _Server(uvicorn.Server):
    """Signals are the process's affair, not the server's."""

    def install_signal_handlers(self) -> None:
        """None."""
