"""The webhook over HTTP: what the API server asks, and what nobody should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from pellucid.kube.controllers.config_entries.kinds import KINDS, CustomKind
from pellucid.kube.controllers.config_entries.web_server import (
    application,
    existing_resources,
    webhook_path,
)
from tests.kube.controllers.cluster import running_cluster
from tests.kube.controllers.gate import gate_to

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


async def test_a_resource_without_a_name_is_a_bad_request(client: httpx.AsyncClient) -> None:
    nameless = review("web", object={"metadata": {}})
    answer = await client.post("/mutate-v1alpha1-mesh", json=nameless)
    assert (answer.status_code, answer.text) == (400, "request.object.metadata.name is needed\n")


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


async def test_an_api_server_that_does_not_answer_is_said_while_it_still_waits(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as cluster, gate_to(cluster.served.port) as gate:
        existing = existing_resources(cluster.client_through(gate.port), within_s=0.5)
        transport = httpx.ASGITransport(application(existing, lambda: ""))
        async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
            gate.fall_silent()
            silent = await client.post("/mutate-v1alpha1-mesh", json=review("mesh"))
            gate.shut()
            away = await client.post("/mutate-v1alpha1-mesh", json=review("mesh"))
    cannot = "the controller failed: the API server cannot be asked for the others of kind Mesh: "
    assert (silent.status_code, silent.text) == (500, f"{cannot}no answer within 0.5 s\n")
    assert (away.status_code, away.text) == (500, f"{cannot}connection refused\n")
