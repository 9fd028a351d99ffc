"""Admission webhooks: programs outside that change or refuse what is about to be stored.

Source: Kubernetes docs, "Dynamic Admission Control".
"""

from __future__ import annotations

import asyncio
import base64
import copy
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from pellucid.localkube.api.admission import Post, Review
from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.patches import PatchError, json_patch
from pellucid.localkube.api.rules.webhooks import CONDITION_VARIABLES
from pellucid.localkube.api.selectors import selector_test
from pellucid.localkube.api.status import ApiError, bad_request, forbidden, internal
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.expressions import ExpressionError, expression
from pellucid.localkube.types.kinds import (
    MUTATING_WEBHOOK_CONFIGURATIONS,
    NAMESPACES,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
    Resource,
)

KNOWN_VERSIONS = ("v1", "v1beta1")
_NEVER_REVIEWED = frozenset(
    {MUTATING_WEBHOOK_CONFIGURATIONS.stored, VALIDATING_WEBHOOK_CONFIGURATIONS.stored}
)


class WebhookFailed(Exception):
    """The webhook could not be asked, or its answer makes no sense."""


class Webhooks:
    """The admission that asks every webhook configured for a write."""

    def __init__(self, resources: Resources, post: Post) -> None:
        self._resources = resources
        self._post = post

    async def mutate(self, review: Review) -> Object | None:
        """The object as the mutating webhooks, one after another, leave it. Raises ApiError.

        One that says so is asked again, once, when a later one has changed the object.
        """
        value = review.object
        asked: list[tuple[Object, Object | None]] = []
        for webhook in self._matching(MUTATING_WEBHOOK_CONFIGURATIONS, review):
            value = await self._ask(webhook, review, value, mutating=True)
            asked.append((webhook, value))
        for webhook, left in asked:
            if webhook.get("reinvocationPolicy") == "IfNeeded" and value != left:
                value = await self._ask(webhook, review, value, mutating=True)
        return value

    async def validate(self, review: Review) -> None:
        """Ask the validating webhooks, all at once. Raises ApiError."""
        matching = list(self._matching(VALIDATING_WEBHOOK_CONFIGURATIONS, review))
        await asyncio.gather(
            *(self._ask(webhook, review, review.object, mutating=False) for webhook in matching)
        )

    def _matching(self, kind: Resource, review: Review) -> Iterator[Object]:
        if review.resource.stored in _NEVER_REVIEWED:
            return
        for configuration in self._resources.select(kind)[1]:
            for webhook in configuration.get("webhooks") or ():
                if self._concerns(webhook, review):
                    yield webhook

    def _concerns(self, webhook: Object, review: Review) -> bool:
        if not any(_covers(rule, review) for rule in webhook.get("rules") or ()):
            return False
        labels = self._namespace_labels(review)
        if labels is not None and not selector_test(webhook.get("namespaceSelector") or {})(labels):
            return False
        by_object = selector_test(webhook.get("objectSelector") or {})
        chosen = any(
            by_object(value["metadata"].get("labels") or {})
            for value in (review.object, review.old)
            if value is not None
        )
        return chosen and _meets(webhook, review)

    def _namespace_labels(self, review: Review) -> Object | None:
        if review.resource.stored == NAMESPACES.stored:
            value = review.object or review.old or {}
            return dict(value.get("metadata", {}).get("labels") or {})
        if not review.resource.namespaced:
            return None
        namespace = self._resources.peek(NAMESPACES, "", review.namespace) or {"metadata": {}}
        return dict(namespace["metadata"].get("labels") or {})

    async def _ask(
        self, webhook: Object, review: Review, value: Object | None, *, mutating: bool
    ) -> Object | None:
        name = webhook["name"]
        if review.options.dry_run and webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise bad_request(f'admission webhook "{name}" does not support dry run')
        try:
            response = await self._called(webhook, review, value, mutating=mutating)
        except WebhookFailed as failed:
            if webhook.get("failurePolicy") == "Ignore":
                return value
            raise internal(f'failed calling webhook "{name}": {failed}') from None
        if not response.get("allowed"):
            raise _denied(name, response.get("status") or {})
        review.options.warnings.extend(str(one) for one in response.get("warnings") or ())
        return _patched(name, response, value) if mutating else value

    async def _called(
        self, webhook: Object, review: Review, value: Object | None, *, mutating: bool
    ) -> Object:
        stated = webhook.get("admissionReviewVersions") or ()
        version = next((one for one in stated if one in KNOWN_VERSIONS), None)
        if version is None:
            raise WebhookFailed(f"none of its admissionReviewVersions is known: {', '.join(stated)}")
        uid = str(uuid.uuid4())
        api_version = f"admission.k8s.io/{version}"
        request = _request(review, value, uid)
        body = msgspec.json.encode({"kind": "AdmissionReview", "apiVersion": api_version, "request": request})
        seconds = float(webhook.get("timeoutSeconds") or 10)
        try:
            answer = msgspec.json.decode(await self._post(webhook["clientConfig"], body, seconds))
        except TimeoutError as error:
            said = str(error) or "context deadline exceeded"
            raise WebhookFailed(f"failed to call webhook: {said}") from None
        except OSError as error:
            raise WebhookFailed(f"failed to call webhook: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            why = f"couldn't get version/kind; json parse error: {error}"
            raise WebhookFailed(f"failed to call webhook: {why}") from None
        try:
            return _verified(answer, api_version, uid, mutating=mutating)
        except WebhookFailed as failed:
            raise WebhookFailed(f"received invalid webhook response: {failed}") from None


def _verified(answer: Any, api_version: str, uid: str, *, mutating: bool) -> Object:
    """The response in an answer that is one. Raises WebhookFailed.

    Source: VerifyAdmissionResponse in apiserver's pkg/admission/plugin/webhook/request.
    """
    response = answer.get("response") if isinstance(answer, dict) else None
    if response is None:
        raise WebhookFailed("webhook response was absent")
    if not isinstance(response, dict) or not isinstance(response.get("status") or {}, dict):
        raise WebhookFailed("the response is not an object")
    strict = api_version.endswith("/v1")
    if strict and response.get("uid") != uid:
        raise WebhookFailed(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    stated = (answer.get("apiVersion", api_version), answer.get("kind", "AdmissionReview"))
    if strict and stated != (api_version, "AdmissionReview"):
        expected, got = f"{api_version}, Kind=AdmissionReview", f"{stated[0]}, Kind={stated[1]}"
        raise WebhookFailed(f"expected webhook response of {expected}, got {got}")
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating and strict and (patch or kind is not None):
        raise WebhookFailed(f"validating webhook may not return response.{'patch' if patch else 'patchType'}")
    if mutating and strict and bool(patch) is (kind is None):
        one, other = ("patch", "patchType") if patch else ("patchType", "patch")
        raise WebhookFailed(f"webhook returned response.{one} but not response.{other}")
    if mutating and (kind or "JSONPatch") != "JSONPatch":
        raise WebhookFailed(f'unsupported patch type "{kind}"')
    return response


def _meets(webhook: Object, review: Review) -> bool:
    """Whether every match condition holds. Raises ApiError 403 if one fails and the policy is Fail."""
    variables = {"object": review.object, "oldObject": review.old, "request": _request(review, None, "")}
    problems: list[str] = []
    for condition in webhook.get("matchConditions") or ():
        try:
            if not expression(condition["expression"], CONDITION_VARIABLES).value(variables):
                return False
        except ExpressionError as error:
            problems.append(f"{condition['name']}: {error}")
    if problems and webhook.get("failurePolicy") != "Ignore":
        raise forbidden(review.resource, review.name, f"match conditions failed: {', '.join(problems)}")
    return not problems


def _covers(rule: Object, review: Review) -> bool:
    resource = review.resource
    wanted = f"{resource.plural}/{review.subresource}" if review.subresource else resource.plural
    names = rule.get("resources") or ()
    possible = {wanted, "*/*"}
    possible |= {f"{resource.plural}/*", f"*/{review.subresource}"} if review.subresource else {"*"}
    scope = {"Namespaced": True, "Cluster": False}.get(rule.get("scope", "*"), resource.namespaced)
    return (
        _has(rule.get("operations"), review.operation)
        and _has(rule.get("apiGroups"), resource.group)
        and _has(rule.get("apiVersions"), resource.version)
        and bool(possible & set(names))
        and scope == resource.namespaced
    )


def _has(listed: list[str] | None, wanted: str) -> bool:
    return wanted in (listed or ()) or "*" in (listed or ())


def _request(review: Review, value: Object | None, uid: str) -> Object:
    resource = review.resource
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    place = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    request: Object = {
        "uid": uid,
        "kind": kind,
        "resource": place,
        "requestKind": kind,
        "requestResource": place,
        "name": review.name,
        "namespace": review.namespace,
        "operation": review.operation,
        "userInfo": review.options.user.shown(),
        "object": value,
        "oldObject": review.old,
        "dryRun": review.options.dry_run,
        "options": {"kind": f"{review.operation.title()}Options", "apiVersion": "meta.k8s.io/v1"},
    }
    if review.subresource:
        request["subResource"] = request["requestSubResource"] = review.subresource
    return request


def _patched(name: str, response: Object, value: Object | None) -> Object | None:
    """The object with the webhook's patch. Raises ApiError, whatever the failure policy, if it fails."""
    if not response.get("patch"):
        return value
    if value is None:
        why = "attempted to modify the object, which is not supported for this operation"
        raise internal(f'admission webhook "{name}" {why}')
    try:
        patch = msgspec.json.decode(base64.b64decode(response["patch"], validate=True))
        changed = json_patch(copy.deepcopy(value), patch)
    except (ValueError, TypeError, PatchError) as error:
        raise internal(f'the patch of admission webhook "{name}" cannot be applied: {error}') from None
    if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
        raise internal(f'the patch of admission webhook "{name}" does not leave an object')
    return changed


def _denied(name: str, status: Object) -> ApiError:
    why = status.get("message") or status.get("reason")
    text = f'admission webhook "{name}" denied the request'
    message = f"{text}: {why}" if why else f"{text} without explanation"
    code = status.get("code")
    stated = code if isinstance(code, int) and 400 <= code < 600 else 400
    return ApiError(stated, str(status.get("reason") or ""), message)
