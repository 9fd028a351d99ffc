"""Admission reviews: the API server's question about an object, and the answer.

Source: Kubernetes docs, "Dynamic Admission Control - Webhook request and response".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.kube.pods import Object

VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
CREATE, UPDATE = "CREATE", "UPDATE"


class NotAReview(ValueError):
    """The request is no admission review of the objects that the webhook is for."""


class Question(msgspec.Struct, frozen=True):
    """May `item` be stored? api_version: in which the answer is wanted; before: what an update replaces."""

    api_version: str
    uid: str
    operation: str
    namespace: str
    item: Object
    before: Object


def question_in(body: bytes) -> Question:
    """Read a review of an object that has metadata. Raises NotAReview."""
    try:
        review = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise NotAReview(f"the body is no JSON object: {error}") from None
    request, version = review.get("request"), review.get("apiVersion")
    if version not in VERSIONS or not isinstance(request, Mapping):
        raise NotAReview(f"an AdmissionReview of {' or '.join(VERSIONS)} is needed")
    item = request.get("object")
    if not isinstance(item, Mapping) or not isinstance(item.get("metadata"), Mapping):
        raise NotAReview("request.object is no object of Kubernetes")
    return Question(
        api_version=version,
        uid=str(request.get("uid", "")),
        operation=str(request.get("operation", "")),
        namespace=request.get("namespace") or item["metadata"].get("namespace") or "default",
        item=item,
        before=request.get("oldObject") or {},
    )


def answer(question: Question, response: Object) -> dict[str, Any]:
    """The review that answers a question. response: all but the uid."""
    return {
        "apiVersion": question.api_version,
        "kind": "AdmissionReview",
        "response": {"uid": question.uid, **response},
    }


def refusal(message: str) -> dict[str, Any]:
    """The response that keeps an object from being stored; people see the message."""
    return {"allowed": False, "status": {"code": 400, "reason": "BadRequest", "message": message}}
