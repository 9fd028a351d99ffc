"""The webhook over HTTPS: `/mutate` for the API server, `/health/ready` for the kubelet."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette

from pellucid.kube.injector.counters import ReviewCounters
from pellucid.kube.injector.datacenters import MeshProblem
from pellucid.kube.injector.mutation import Injected
from pellucid.kube.injector.namespace_labels import NamespaceLabels
from pellucid.kube.injector.review import Outcome, Refused, decided, mutated, require_pod, response_to
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.pods import Object
from pellucid.kube.webhook.pages import readiness, reviews
from pellucid.kube.webhook.review import Question


def application(
    settings: Callable[[], InjectorSettings],
    namespace_labels: NamespaceLabels,
    mesh_problem: MeshProblem,
    not_ready: Callable[[], str],
    counters: ReviewCounters,
) -> Starlette:
    """settings: as they are now; not_ready: what is still missing, empty when nothing is."""

    async def respond(question: Question) -> Object:
        require_pod(question)
        try:
            outcome = await outcome_of(question)
        except Exception:
            counters.failed()
            raise
        counters.count(outcome)
        return response_to(question, outcome)

    async def outcome_of(question: Question) -> Outcome:
        now = settings()
        outcome: Outcome | None = decided(question, now)
        if outcome is None:
            outcome = mutated(question, await namespace_labels(question.namespace), now)
        if isinstance(outcome, Injected) and (problem := await mesh_problem(question.item)):
            return Refused(problem)
        return outcome

    return Starlette(routes=[reviews("/mutate", respond, "the injector"), readiness(not_ready)])
