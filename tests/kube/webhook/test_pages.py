"""What the API server and the kubelet find at a webhook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from pellucid.kube.pods import Object
from pellucid.kube.webhook.pages import MAX_BODY_BYTES, readiness, reviews
from pellucid.kube.webhook.review import NotAReview, Question

REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "request": {"uid": "u", "object": {"metadata": {"name": "web"}}},
}


def client(route: Route) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(Starlette(routes=[route]))
    return httpx2.AsyncClient(transport=transport, base_url="https://webhook")


def asked(respond: Callable[[Question], Awaitable[Object]]) -> httpx2.AsyncClient:
    return client(reviews("/mutate", respond, "the injector"))


async def allow(_: Question) -> Object:
    return {"allowed": True}


async def test_a_review_is_answered() -> None:
    async with asked(allow) as webhook:
        answer = await webhook.post("/mutate", json=REVIEW)
    assert (answer.status_code, answer.json()["response"]) == (200, {"uid": "u", "allowed": True})


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"apiVersion": "v1"}'])
async def test_what_is_no_review_is_a_bad_request(body: bytes) -> None:
    async with asked(allow) as webhook:
        answer = await webhook.post("/mutate", content=body)
    assert answer.status_code == 400
    assert "no JSON object" in answer.text or "AdmissionReview" in answer.text


async def test_a_review_of_something_else_is_a_bad_request() -> None:
    async def refuse(_: Question) -> Object:
        raise NotAReview("request.object is no pod")

    async with asked(refuse) as webhook:
        answer = await webhook.post("/mutate", json=REVIEW)
    assert (answer.status_code, answer.text) == (400, "request.object is no pod\n")


async def test_bodies_of_a_reviews_length_are_read_and_longer_ones_refused() -> None:
    async with asked(allow) as webhook:
        longest = await webhook.post("/mutate", content=b"x" * MAX_BODY_BYTES)
        longer = await webhook.post("/mutate", content=b"x" * (MAX_BODY_BYTES + 1))
    assert "no JSON object" in longest.text
    assert (longer.status_code, longer.text) == (413, f"a review may have {MAX_BODY_BYTES} bytes\n")


async def test_a_failure_is_told_to_whoever_writes_the_object() -> None:
    async def fail(_: Question) -> Object:
        raise OSError("the API server does not answer")

    async with asked(fail) as webhook:
        answer = await webhook.post("/mutate", json=REVIEW)
    assert answer.status_code == 500
    assert answer.text == "the injector failed: the API server does not answer\n"


async def test_it_is_ready_when_nothing_is_missing_any_more() -> None:
    missing = "the API server's trust"
    async with client(readiness(lambda: missing)) as webhook:
        answer = await webhook.get("/health/ready")
        assert (answer.status_code, answer.text) == (503, "waiting for the API server's trust\n")
        missing = ""
        assert (await webhook.get("/health/ready")).status_code == 200
