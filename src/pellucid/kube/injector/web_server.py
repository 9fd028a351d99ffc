"""The webhook over HTTPS: `/mutate` for the API server, `/health/ready` for the kubelet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pellucid.kube.injector.review import NotAReview, answer, namespace_of
from pellucid.kube.injector.settings import InjectorSettings

MAX_BODY_BYTES = 3 << 20
"""What the API server takes as an object, and then some."""
STOP_SECONDS = 10

NamespaceLabels = Callable[[str], Awaitable[Mapping[str, str]]]

log = structlog.get_logger("pellucid.kube.injector")


def application(
    settings: Callable[[], InjectorSettings],
    namespace_labels: NamespaceLabels,
    not_ready: Callable[[], str],
) -> Starlette:
    """settings: as they are now; not_ready: what is still missing, empty when nothing is."""

    async def mutate(request: Request) -> Response:
        try:
            review = msgspec.json.decode(await _body(request), type=dict[str, Any])
            labels = await namespace_labels(namespace_of(review))
            return JSONResponse(answer(review, labels, settings()))
        except (NotAReview, msgspec.MsgspecError) as error:
            return PlainTextResponse(f"{error}\n", 400)
        except TooLarge:
            return PlainTextResponse(f"a review may have {MAX_BODY_BYTES} bytes\n", 413)
        except Exception as error:
            # The reason reaches whoever creates the pod, through the API server.
            log.exception("a pod could not be looked at")
            return PlainTextResponse(f"the injector failed: {error}\n", 500)

    async def ready(_: Request) -> Response:
        missing = not_ready()
        return PlainTextResponse(f"waiting for {missing}\n", 503) if missing else PlainTextResponse("ready\n")

    return Starlette(
        routes=[Route("/mutate", mutate, methods=["POST"]), Route("/health/ready", ready, methods=["GET"])]
    )


class TooLarge(Exception):
    """The body is longer than any object can be."""


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


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge
    return body
