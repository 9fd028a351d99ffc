"""Programs that have a say in what is stored, called over real TLS."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.webhooks import Webhooks
from pellucid.localkube.http.connection import Request, Response
from pellucid.localkube.types.kinds import (
    CONFIG_MAPS,
    MUTATING_WEBHOOK_CONFIGURATIONS,
    PODS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
)
from tests.localkube.api.cluster import config_map, pod
from tests.localkube.http.served import Served, webhook_at

Object = dict[str, Any]


class Webhook:
    """A webhook that answers as it is told and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Object] = []
        self.answer: Callable[[Object], Object] = lambda request: {"allowed": True}
        self.behaviour: Callable[[Request], Awaitable[Response]] | None = None
        self.port = 0

    async def __call__(self, request: Request) -> Response:
        review = json.loads(request.body)
        self.asked.append(review)
        if self.behaviour is not None:
            return await self.behaviour(request)
        response = {"uid": review["request"]["uid"], **self.answer(review["request"])}
        return Response(body=msgspec.json.encode({**review, "response": response}))


@pytest.fixture
async def webhook(served: Served) -> AsyncIterator[Webhook]:
    webhook = Webhook()
    async with webhook_at(served, webhook) as (port, client):
        webhook.port = port
        served.resources.admission = Webhooks(served.resources, client)
        yield webhook


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


def answers(response: Response) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return response

    return answer


def with_response(**response: Any) -> Callable[[Request], Awaitable[Response]]:
    """Answers a review whose response is as given, but for `uid` where it says `same`."""

    async def answer(request: Request) -> Response:
        review = json.loads(request.body)
        uid = review["request"]["uid"]
        told = {key: uid if one == "same" else one for key, one in response.items()}
        return Response(body=msgspec.json.encode({**review, "response": told}))

    return answer


async def never(request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError


def encoded(patch: Any) -> str:
    return base64.b64encode(msgspec.json.encode(patch)).decode()


BROKEN = [
    (never, 'failed to call webhook: Post "{url}": context deadline exceeded'),
    (
        answers(Response(body=b"<html>")),
        "failed to call webhook: couldn't get version/kind; json parse error: JSON is malformed: invalid "
        "character (byte 0)",
    ),
    (
        answers(Response(404)),
        "failed to call webhook: the server could not find the requested resource",
    ),
    (
        answers(Response(503, b"overloaded")),
        'failed to call webhook: an error on the server ("overloaded") has prevented the request from '
        "succeeding",
    ),
    (answers(Response(body=b"{}")), "received invalid webhook response: webhook response was absent"),
    (
        with_response(uid="other", allowed=True),
        'received invalid webhook response: expected response.uid="{uid}", got "other"',
    ),
    (
        with_response(uid="same", allowed=True, patch=encoded([])),
        "received invalid webhook response: webhook returned response.patch but not response.patchType",
    ),
    (
        with_response(uid="same", allowed=True, patch=encoded([]), patchType="Merge"),
        'received invalid webhook response: unsupported patch type "Merge"',
    ),
]


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
@pytest.mark.parametrize(("behaviour", "said"), BROKEN, ids=[said[:60] for _, said in BROKEN])
async def test_a_webhook_that_does_not_answer_as_it_should_refuses_or_is_passed_over(
    served: Served,
    webhook: Webhook,
    behaviour: Callable[[Request], Awaitable[Response]],
    said: str,
    policy: str,
) -> None:
    webhook.behaviour = behaviour
    kind = "MutatingWebhookConfiguration"
    wanted = configuration(served, webhook, kind, "configmaps", failurePolicy=policy, timeoutSeconds=1)
    await served.resources.create(MUTATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    if policy == "Ignore":
        await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
        return
    with pytest.raises(ApiError) as refusal:
        await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
    url = f"https://127.0.0.1:{webhook.port}/w?timeout=1s"
    uid = webhook.asked[-1]["request"]["uid"]
    assert refusal.value.code == 500
    assert refusal.value.message == (
        'Internal error occurred: failed calling webhook "w.example.com": ' + said.format(url=url, uid=uid)
    )
    assert served.resources.peek(CONFIG_MAPS, "default", "c") is None


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
async def test_a_patch_that_has_no_place_refuses_whatever_the_policy(
    served: Served, webhook: Webhook, policy: str
) -> None:
    patch = encoded([{"op": "remove", "path": "/data/nothing"}])
    webhook.behaviour = with_response(uid="same", allowed=True, patchType="JSONPatch", patch=patch)
    kind = "MutatingWebhookConfiguration"
    wanted = configuration(served, webhook, kind, "configmaps", failurePolicy=policy)
    await served.resources.create(MUTATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    with pytest.raises(ApiError, match=r'Internal error.*the path "/data/nothing" does not exist'):
        await served.resources.create(CONFIG_MAPS, "default", config_map("c", k="v"))


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
async def test_a_webhook_that_is_down_refuses_or_is_passed_over(
    served: Served, webhook: Webhook, policy: str
) -> None:
    webhook.port = 1
    kind = "ValidatingWebhookConfiguration"
    wanted = configuration(served, webhook, kind, "configmaps", failurePolicy=policy)
    await served.resources.create(VALIDATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    code, _, errors = await served.try_kubectl("create", "configmap", "c")
    if policy == "Ignore":
        assert code == 0
        return
    assert errors.strip() == (
        "error: failed to create configmap: Internal error occurred: failed calling webhook "
        '"w.example.com": failed to call webhook: Post "https://127.0.0.1:1/w?timeout=10s": dial tcp '
        "127.0.0.1:1: connect: connection refused"
    )


async def test_a_webhook_whose_service_or_certificate_is_wrong_is_named(
    served: Served, webhook: Webhook
) -> None:
    kind = "ValidatingWebhookConfiguration"
    wanted = configuration(served, webhook, kind, "configmaps")
    del wanted["webhooks"][0]["clientConfig"]["caBundle"]
    await served.resources.create(VALIDATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    with pytest.raises(
        ApiError, match=r"tls: failed to verify certificate: x509: certificate signed by unknown"
    ):
        await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
    wanted["webhooks"][0]["clientConfig"] = {"service": {"namespace": "n", "name": "hook", "path": "/v"}}
    await served.resources.update(VALIDATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    with pytest.raises(ApiError, match=r'Post "https://hook.n.svc:443/v\?timeout=10s": service "hook" not'):
        await served.resources.create(CONFIG_MAPS, "default", config_map("c"))


async def test_a_webhook_is_asked_again_only_when_a_later_one_changed_the_object(
    served: Served, webhook: Webhook
) -> None:
    def answer(request: Object) -> Object:
        if request["object"].get("data"):
            return {"allowed": True}
        patch = [{"op": "add", "path": "/data", "value": {"by": "the second"}}]
        first = len(webhook.asked) == 1
        return (
            {"allowed": True}
            if first
            else {"allowed": True, "patchType": "JSONPatch", "patch": encoded(patch)}
        )

    webhook.answer = answer
    kind = "MutatingWebhookConfiguration"
    wanted = configuration(served, webhook, kind, "configmaps", reinvocationPolicy="IfNeeded")
    wanted["webhooks"].append({**wanted["webhooks"][0], "name": "second.example.com"})
    await served.resources.create(MUTATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
    assert [bool(one["request"]["object"]["data"]) for one in webhook.asked] == [False, False, True]


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


async def test_conditions_in_cel_choose_what_a_webhook_is_asked_about(
    served: Served, webhook: Webhook
) -> None:
    condition = {
        "name": "large",
        "expression": "size(object.data) > 1 && request.userInfo.username == 'admin'",
    }
    kind = "ValidatingWebhookConfiguration"
    wanted = configuration(served, webhook, kind, "configmaps", matchConditions=[condition])
    await served.resources.create(VALIDATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    await served.kubectl("create", "configmap", "one", "--from-literal=a=b")
    assert webhook.asked == []
    await served.kubectl("create", "configmap", "two", "--from-literal=a=b", "--from-literal=c=d")
    assert len(webhook.asked) == 1
    _, _, errors = await served.try_kubectl("create", "configmap", "none")
    assert 'configmaps "none" is forbidden: match conditions failed: large: no such key: data' in errors


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "short"}, 'name: Invalid value: "short": should be a domain with at least three segments'),
        (
            {"sideEffects": "Some"},
            'sideEffects: Unsupported value: "Some": supported values: "None", "NoneOn',
        ),
        (
            {"timeoutSeconds": 31},
            "timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30",
        ),
        ({"clientConfig": {}}, "clientConfig: Required value: exactly one of url or service is required"),
        ({"clientConfig": {"url": "http://x"}}, "'https' is the only allowed URL scheme"),
        ({"admissionReviewVersions": ["v2"]}, 'admissionReviewVersions: Invalid value: []string{"v2"}: must'),
        (
            {"matchConditions": [{"name": "a", "expression": "object."}]},
            'matchConditions[0].expression: Invalid value: "object.": compilation failed: ERROR: <input>:1:8',
        ),
    ],
    ids=["name", "side effects", "timeout", "nowhere", "in the clear", "versions", "condition"],
)
async def test_a_configuration_with_a_mistake_is_refused(
    served: Served, webhook: Webhook, change: Object, said: str
) -> None:
    wanted = configuration(served, webhook, "ValidatingWebhookConfiguration", "configmaps", **change)
    wanted["webhooks"][0].update(change)
    with pytest.raises(ApiError) as refusal:
        await served.resources.create(VALIDATING_WEBHOOK_CONFIGURATIONS, "", wanted)
    assert refusal.value.code == 422
    assert said in refusal.value.message
