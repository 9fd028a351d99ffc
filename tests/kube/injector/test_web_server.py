"""The webhook's pages, and what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from pellucid.kube.injector.counters import ReviewCounters, metrics_application
from pellucid.kube.injector.web_server import application
from pellucid.kube.pods import Object
from tests.kube.injector.pods import PREFIX, SETTINGS, Pod, pod

REDIRECTS = {PREFIX + "transparent-proxy": "true"}


class Webhook:
    """The webhook's application, the namespaces it asked about, and its counters."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.missing = self.problem = ""
        self.labels: Mapping[str, str] | Exception = {}
        self.counters = ReviewCounters()
        app = application(
            lambda: SETTINGS,
            self._labels,
            self._mesh_problem,
            lambda: self.missing,
            self.counters,
        )
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://webhook")

    async def _labels(self, namespace: str) -> Mapping[str, str]:
        self.asked.append(namespace)
        if isinstance(self.labels, Exception):
            raise self.labels
        return self.labels

    async def _mesh_problem(self, _: Object) -> str:
        return self.problem

    async def review(self, author: Pod, namespace: str = "default") -> httpx2.Response:
        request = {"uid": "u", "namespace": namespace, "object": author}
        return await self.client.post(
            "/mutate", json={"apiVersion": "admission.k8s.io/v1", "request": request}
        )

    async def counts(self) -> dict[str, float]:
        transport = httpx2.ASGITransport(metrics_application(self.counters))
        async with httpx2.AsyncClient(transport=transport, base_url="http://metrics") as client:
            lines = (await client.get("/metrics")).text.splitlines()
        stem = "pellucid_injector_reviews_total{outcome="
        found = (line.removeprefix(stem).split("} ") for line in lines if line.startswith(stem))
        return {outcome.strip('"'): float(number) for outcome, number in found}


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


async def allowed(answer: httpx2.Response) -> Any:
    assert answer.status_code == 200
    return answer.json()["response"]["allowed"]


async def test_a_pod_that_asks_gets_a_patch_by_the_labels_of_its_namespace(webhook: Webhook) -> None:
    webhook.labels = REDIRECTS
    answer = await webhook.review(pod({"connect-inject": "true"}), "shop")
    assert await allowed(answer)
    assert "patch" in answer.json()["response"]
    assert webhook.asked == ["shop"]


async def test_labels_are_not_asked_for_pods_without_a_sidecar(webhook: Webhook) -> None:
    assert await allowed(await webhook.review(pod()))
    assert not await allowed(await webhook.review(pod({"connect-inject": "maybe"})))
    assert webhook.asked == []


async def test_answers_are_counted_by_outcome(webhook: Webhook) -> None:
    await webhook.review(pod())
    await webhook.review(pod({"connect-inject": "true"}))
    await webhook.review(pod({"connect-inject": "true"}))
    await webhook.review(pod({"connect-inject": "true"}, containers=[]))
    assert await webhook.counts() == {"injected": 2.0, "skipped": 1.0, "refused": 1.0, "failed": 0.0}


async def test_a_pod_for_which_the_mesh_lacks_something_is_refused(webhook: Webhook) -> None:
    webhook.problem = "there is no gateway"
    answer = await webhook.review(pod({"connect-inject": "true"}))
    assert answer.json()["response"]["status"]["message"] == "there is no gateway"
    assert await allowed(await webhook.review(pod()))
    assert (await webhook.counts())["refused"] == 1.0


async def test_a_failure_is_told_to_whoever_creates_the_pod(webhook: Webhook) -> None:
    webhook.labels = OSError("the API server does not answer")
    answer = await webhook.review(pod({"connect-inject": "true"}))
    assert answer.status_code == 500
    assert answer.text == "the injector failed: the API server does not answer\n"
    assert (await webhook.counts())["failed"] == 1.0


async def test_a_question_about_no_pod_is_a_bad_request_and_not_counted(webhook: Webhook) -> None:
    assert (await webhook.review({"metadata": {}})).status_code == 400
    assert sum((await webhook.counts()).values()) == 0


async def test_it_says_what_it_waits_for(webhook: Webhook) -> None:
    webhook.missing = "the API server's trust"
    answer = await webhook.client.get("/health/ready")
    assert (answer.status_code, answer.text) == (503, "waiting for the API server's trust\n")
    webhook.missing = ""
    assert (await webhook.client.get("/health/ready")).status_code == 200
