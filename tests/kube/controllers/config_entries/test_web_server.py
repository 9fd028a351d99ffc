"""The webhook over HTTP: what the API server asks, and what nobody should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from pellucid.kube.controllers.config_entries.kinds import KINDS, CustomKind
from pellucid.kube.controllers.config_entries.web_server import application, webhook_path
from pellucid.kube.webhook_server import MAX_BODY_BYTES

EXISTING = [{"metadata": {"name": "taken", "namespace": "other"}, "spec": {}}]


class Missing:
    """What the server says is missing."""

    text = ""


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async def existing(kind: CustomKind) -> list[Mapping[str, Any]]:
        if kind.name == "ServiceRouter":
            raise RuntimeError("the API server is away")
        return list(EXISTING)

    transport = httpx.ASGITransport(application(existing, lambda: Missing.text))
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as made:
        yield made


def review(name: str, spec: object = None, **request: object) -> dict[str, Any]:
    item = {"metadata": {"name": name, "namespace": "default"}, "spec": spec or {}}
    asked = {"uid": "u1", "operation": "CREATE", "object": item, **request}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


async def test_there_is_a_path_for_each_kind(client: httpx.AsyncClient) -> None:
    for kind in KINDS:
        answer = await client.post(webhook_path(kind), json={})
        assert answer.status_code == 400, kind.name


async def test_a_good_resource_is_allowed_and_one_whose_name_is_taken_is_not(
    client: httpx.AsyncClient,
) -> None:
    path = "/mutate-v1alpha1-servicedefaults"
    allowed = (await client.post(path, json=review("web", {"protocol": "http"}))).json()
    assert allowed["response"] == {"uid": "u1", "allowed": True}
    refused = (await client.post(path, json=review("taken"))).json()
    assert refused["response"]["allowed"] is False
    assert "already defined" in refused["response"]["status"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"apiVersion": "admission.k8s.io/v1", "request": {"object": 1}}',
        b'{"apiVersion": "admission.k8s.io/v1", "request": {"object": {"metadata": {}}}}',
        b'{"apiVersion": "admission.k8s.io/v9", "request": {}}',
    ],
)
async def test_what_is_no_review_is_a_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/mutate-v1alpha1-mesh", content=body)
    assert answer.status_code == 400
    assert answer.text.strip()


async def test_a_body_that_is_no_object_any_more_is_cut_off(client: httpx.AsyncClient) -> None:
    answer = await client.post("/mutate-v1alpha1-mesh", content=bytes(MAX_BODY_BYTES + 1))
    assert answer.status_code == 413


async def test_a_failure_says_why(client: httpx.AsyncClient) -> None:
    answer = await client.post("/mutate-v1alpha1-servicerouter", json=review("web"))
    assert (answer.status_code, answer.text) == (500, "the controller failed: the API server is away\n")


async def test_it_is_ready_when_nothing_is_missing(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.get("/health/ready")).status_code == 200
    monkeypatch.setattr(Missing, "text", "trust")
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.text) == (503, "waiting for trust\n")
