"""The webhook over HTTPS: `/mutate` for the API server, `/health/ready` for the kubelet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pellucid.kube.injector.review import NotAReview, answer, namespace_of
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.webhook_server import TooLarge, body_of

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
            review = msgspec.json.decode(await body_of(request), type=dict[str, Any])
            labels = await namespace_labels(namespace_of(review))
            return JSONResponse(answer(review, labels, settings()))
        except (NotAReview, msgspec.MsgspecError) as error:
            return PlainTextResponse(f"{error}\n", 400)
        except TooLarge as error:
            return PlainTextResponse(f"{error}\n", 413)
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
