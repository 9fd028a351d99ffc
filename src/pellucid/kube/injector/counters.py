"""What the webhook has answered, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.kube.injector.review import Outcome


class ReviewCounters:
    """Answers by outcome: `injected`, `skipped`, `refused`, and `failed` for questions without an answer."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reviews = Counter(
            "pellucid_injector_reviews",
            "Pods that the API server asked about, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("injected", "skipped", "refused", "failed"):
            self._reviews.labels(outcome)

    def count(self, outcome: Outcome) -> None:
        """An answer was found."""
        self._reviews.labels(type(outcome).__name__.lower()).inc()

    def failed(self) -> None:
        """No answer was found."""
        self._reviews.labels("failed").inc()


def metrics_application(counters: ReviewCounters) -> Starlette:
    """`/metrics`, in plain."""

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(counters.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/metrics", metrics, methods=["GET"])])
