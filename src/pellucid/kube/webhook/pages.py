"""Where the API server asks a webhook, and where the kubelet looks whether it may be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pellucid.kube.pods import Object
from pellucid.kube.webhook.review import NotAReview, Question, answer, question_in

MAX_BODY_BYTES = 3 << 20
"""What the API server takes as an object, and then some."""

log = structlog.get_logger("pellucid.kube.webhook")


def reviews(path: str, respond: Callable[[Question], Awaitable[Object]], who: str) -> Route:
    """Where reviews are answered. respond: may raise NotAReview; who: as it is called where that fails."""

    async def review(request: Request) -> Response:
        try:
            question = question_in(await _body_of(request))
            return JSONResponse(answer(question, await respond(question)))
        except NotAReview as error:
            return PlainTextResponse(f"{error}\n", 400)
        except _TooLarge as error:
            return PlainTextResponse(f"{error}\n", 413)
        except Exception as error:
            # The reason reaches whoever writes the object, through the API server.
            log.exception("a review could not be answered", path=path)
            return PlainTextResponse(f"{who} failed: {error}\n", 500)

    return Route(path, review, methods=["POST"])


def readiness(not_ready: Callable[[], str]) -> Route:
    """`/health/ready` for the kubelet. not_ready: what is still missing, empty when nothing is."""

    async def ready(_: Request) -> Response:
        missing = not_ready()
        return PlainTextResponse(f"waiting for {missing}\n", 503) if missing else PlainTextResponse("ready\n")

    return Route("/health/ready", ready, methods=["GET"])


class _TooLarge(Exception):
    """The body is longer than any object can be."""


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise _TooLarge(f"a review may have {MAX_BODY_BYTES} bytes")
    return bytes(body)
