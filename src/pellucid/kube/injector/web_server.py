"""The webhook over HTTPS: `/mutate` for the API server, `/health/ready` for the kubelet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pellucid.kube.injector.counters import ReviewCounters
from pellucid.kube.injector.datacenters import MeshProblem
from pellucid.kube.injector.mutation import Injected
from pellucid.kube.injector.review import (
    NotAReview,
    Outcome,
    Refused,
    decided,
    mutated,
    question_in,
    review_with,
)
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.webhook_server import TooLarge, body_of, readiness

NamespaceLabels = Callable[[str], Awaitable[Mapping[str, str]]]

log = structlog.get_logger("pellucid.kube.injector")


def application(
    settings: Callable[[], InjectorSettings],
    namespace_labels: NamespaceLabels,
    mesh_problem: MeshProblem,
    not_ready: Callable[[], str],
    counters: ReviewCounters,
) -> Starlette:
    """settings: as they are now; not_ready: what is still missing, empty when nothing is."""

    async def mutate(request: Request) -> Response:
        try:
            question = question_in(await body_of(request))
            now = settings()
            outcome: Outcome | None = decided(question, now)
            if outcome is None:
                outcome = mutated(question, await namespace_labels(question.namespace), now)
            if isinstance(outcome, Injected) and (problem := await mesh_problem(question.pod)):
                outcome = Refused(problem)
            counters.count(outcome)
            return JSONResponse(review_with(question, outcome))
        except NotAReview as error:
            return PlainTextResponse(f"{error}\n", 400)
        except TooLarge as error:
            return PlainTextResponse(f"{error}\n", 413)
        except Exception as error:
            # The reason reaches whoever creates the pod, through the API server.
            log.exception("a pod could not be looked at")
            counters.failed()
            return PlainTextResponse(f"the injector failed: {error}\n", 500)

    return Starlette(routes=[Route("/mutate", mutate, methods=["POST"]), readiness(not_ready)])
