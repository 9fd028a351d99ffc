"""The API server's questions are read, and answered in the version they were asked in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pellucid.kube.webhook.review import NotAReview, answer, question_in, refusal

V1, BETA = "admission.k8s.io/v1", "admission.k8s.io/v1beta1"
POD = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {}}


def review(item: Any, version: str = V1, **request: Any) -> bytes:
    request = {"uid": "705ab4f5", "operation": "CREATE", "object": item, **request}
    return json.dumps({"apiVersion": version, "kind": "AdmissionReview", "request": request}).encode()


@pytest.mark.parametrize("version", [V1, BETA])
def test_the_answer_is_of_the_questions_version_and_for_its_uid(version: str) -> None:
    assert answer(question_in(review(POD, version)), {"allowed": True}) == {
        "apiVersion": version,
        "kind": "AdmissionReview",
        "response": {"uid": "705ab4f5", "allowed": True},
    }


def test_a_refusal_says_why() -> None:
    status = {"code": 400, "reason": "BadRequest", "message": "no"}
    assert refusal("no") == {"allowed": False, "status": status}


def test_the_namespace_is_the_requests_else_the_objects() -> None:
    assert question_in(review(POD, namespace="other")).namespace == "other"
    assert question_in(review(POD)).namespace == "shop"
    assert question_in(review({"metadata": {}})).namespace == "default"


def test_an_update_has_what_was_there_before() -> None:
    question = question_in(review(POD, operation="UPDATE", oldObject={"metadata": {"name": "web"}}))
    assert (question.operation, question.before) == ("UPDATE", {"metadata": {"name": "web"}})
    assert question_in(review(POD, oldObject=None)).before == {}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{}", "AdmissionReview of admission.k8s.io/v1 or admission.k8s.io/v1beta1 is needed"),
        (review(POD, "admission.k8s.io/v2"), "is needed"),
        (json.dumps({"apiVersion": V1, "request": None}).encode(), "is needed"),
        (review(None), "no object of Kubernetes"),
        (review({"metadata": []}), "no object of Kubernetes"),
    ],
)
def test_anything_else_is_no_review(body: bytes, problem: str) -> None:
    with pytest.raises(NotAReview, match=problem):
        question_in(body)
