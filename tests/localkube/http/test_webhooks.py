"""Programs that have a say in what is stored, called over real TLS."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.webhooks import Webhooks
from pellucid.localkube.http.connection import Request, Response
from pellucid.localkube.http.server import ApiServer, tls_context
from pellucid.localkube.http.webhook_client import WebhookClient
from pellucid.localkube.types.kinds import (
    CONFIG_MAPS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    PODS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
)
from tests.localkube.api.cluster import config_map, pod
from tests.localkube.http.served import Served, serve

Object = dict[str, Any]


class Webhook:
    """A webhook that answers as it is told and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Object] = []
        self.answer: Callable[[Object], Object] = lambda request: {"allowed": True}
        self.port = 0

    async def __call__(self, request: Request) -> Response:
        review = json.loads(request.body)
        self.asked.append(review)
        response = {"uid": review["request"]["uid"], **self.answer(review["request"])}
        return Response(body=msgspec.json.encode({**review, "response": response}))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = await serve(tmp_path)
    yield served
    await served.close()


@pytest.fixture
async def webhook(served: Served, tmp_path: Path) -> AsyncIterator[Webhook]:
    webhook = Webhook()
    certificates = (tmp_path / "kube-apiserver.crt", tmp_path / "kube-apiserver.key")
    server = ApiServer(webhook, tls_context(*certificates, served.authority))
    webhook.port = await server.listen("127.0.0.1", 0)

    def nowhere(namespace: str, name: str, port: int) -> tuple[str, int]:
        raise OSError(f'service "{name}" not found')

    served.resources.admission = Webhooks(served.resources, WebhookClient(nowhere))
    yield webhook
    await server.close()


def configuration(served: Served, webhook: Webhook, kind: str, resource: str, **more: Any) -> Object:
    bundle = base64.b64encode(served.authority.read_bytes()).decode()
    return {
        "kind": kind,
        "apiVersion": "admissionregistration.k8s.io/v1",
        "metadata": {"name": "w"},
        "webhooks": [
            {
                "name": "w.example.com",
                "clientConfig": {"url": f"https://127.0.0.1:{webhook.port}/w", "caBundle": bundle},
                "rules": [
                    {
                        "operations": ["CREATE"],
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": [resource],
                    }
                ],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                **more,
            }
        ],
    }


async def test_a_mutating_webhook_changes_pods_before_they_are_stored(
    served: Served, webhook: Webhook
) -> None:
    added = [{"op": "add", "path": "/spec/containers/-", "value": {"name": "side", "image": "side:1"}}]
    patch = base64.b64encode(json.dumps(added).encode()).decode()
    webhook.answer = lambda request: {"allowed": True, "patchType": "JSONPatch", "patch": patch}
    await served.resources.create(
        MUTATING_WEBHOOK_CONFIGURATIONS,
        "",
        configuration(served, webhook, "MutatingWebhookConfiguration", "pods"),
    )
    made = await served.resources.create(PODS, "default", pod("p"))
    assert [one["name"] for one in made["spec"]["containers"]] == ["c", "side"]
    assert made["spec"]["containers"][1]["imagePullPolicy"] == "IfNotPresent"
    request = webhook.asked[0]["request"]
    assert (request["operation"], request["namespace"], request["name"]) == ("CREATE", "default", "p")
    await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
    assert len(webhook.asked) == 1


async def test_a_validating_webhook_refuses_in_its_own_words(served: Served, webhook: Webhook) -> None:
    webhook.answer = lambda request: {"allowed": False, "status": {"message": "not on Fridays"}}
    wanted = configuration(served, webhook, "ValidatingWebhookConfiguration", "configmaps")
    await served.resources.create(VALIDATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    _, _, errors = await served.try_kubectl("create", "configmap", "c")
    assert 'admission webhook "w.example.com" denied the request: not on Fridays' in errors


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
async def test_a_webhook_that_is_down_refuses_or_is_passed_over(
    served: Served, webhook: Webhook, policy: str
) -> None:
    webhook.port = 1
    kind = "ValidatingWebhookConfiguration"
    wanted = configuration(served, webhook, kind, "configmaps", failurePolicy=policy)
    await served.resources.create(VALIDATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    if policy == "Ignore":
        await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
        return
    with pytest.raises(ApiError, match=r'failed calling webhook "w.example.com"') as refusal:
        await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
    assert refusal.value.code == 500


async def test_selectors_spare_objects(served: Served, webhook: Webhook) -> None:
    selector = {"matchLabels": {"inject": "yes"}}
    kind = "ValidatingWebhookConfiguration"
    wanted = configuration(served, webhook, kind, "configmaps", objectSelector=selector)
    await served.resources.create(VALIDATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
    assert webhook.asked == []
    labelled = {"metadata": {"name": "d", "labels": {"inject": "yes"}}}
    await served.resources.create(CONFIG_MAPS, "default", labelled)
    assert len(webhook.asked) == 1
