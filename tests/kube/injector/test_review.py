"""The API server asks about pods and gets answers it understands."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pellucid.kube.injector.mutation import Injected
from pellucid.kube.injector.review import (
    LONGEST_WARNING,
    NotAReview,
    decided,
    mutated,
    patch_between,
    question_in,
    review_with,
)
from tests.kube.injector.pods import SETTINGS, Pod, container, inject, kuma_init, pod, settings_with

V1, BETA = "admission.k8s.io/v1", "admission.k8s.io/v1beta1"


def review(author: Any, version: str = V1, namespace: str = "default", **request: Any) -> bytes:
    request = {"uid": "705ab4f5", "namespace": namespace, "object": author, **request}
    return json.dumps({"apiVersion": version, "kind": "AdmissionReview", "request": request}).encode()


def answer(author: Pod, version: str = V1, **request: Any) -> dict[str, Any]:
    """The whole review that comes back."""
    question = question_in(review(author, version, **request))
    return review_with(question, decided(question, SETTINGS) or mutated(question, {}, SETTINGS))


@pytest.mark.parametrize("version", [V1, BETA])
def test_the_answer_is_of_the_questions_version_and_for_its_uid(version: str) -> None:
    found = answer(pod(), version)
    assert (found["apiVersion"], found["kind"]) == (version, "AdmissionReview")
    assert found["response"]["uid"] == "705ab4f5"


def test_a_pod_that_needs_no_sidecar_is_allowed_as_it_is() -> None:
    assert answer(pod())["response"] == {
        "uid": "705ab4f5",
        "allowed": True,
        "status": {"message": "Pod web-1 does not require injection"},
    }


def test_a_pod_that_misspells_what_it_wants_is_told_what_it_may_mean() -> None:
    response = answer(pod({"connect-injct": "true"}))["response"]
    assert response["allowed"]
    assert response["warnings"] == [
        "there is no annotation consul.hashicorp.com/connect-injct; "
        "did you mean consul.hashicorp.com/connect-inject?"
    ]


def test_a_pod_that_has_no_name_yet_is_called_by_what_its_name_will_begin_with() -> None:
    author = pod()
    author["metadata"] = {"generateName": "web-"}
    assert answer(author)["response"]["status"]["message"] == "Pod web- does not require injection"


def test_a_pod_that_gets_a_sidecar_is_allowed_with_a_patch() -> None:
    response = answer(pod({"connect-inject": "true"}))["response"]
    assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
    changed = {operation["path"] for operation in json.loads(base64.b64decode(response["patch"]))}
    assert changed == {
        "/metadata/annotations",
        "/metadata/labels",
        "/spec/volumes",
        "/spec/initContainers",
        "/spec/containers",
    }
    assert "warnings" not in response


@pytest.mark.parametrize(
    "author", [pod({"connect-inject": "maybe"}), pod({"connect-inject": "true"}, containers=[])]
)
def test_a_pod_that_cannot_work_is_refused_with_the_reason(author: Pod) -> None:
    response = answer(author)["response"]
    assert response["allowed"] is False
    assert (response["status"]["code"], response["status"]["reason"]) == (400, "BadRequest")
    assert response["status"]["message"]
    assert "patch" not in response


def test_what_the_author_should_know_is_passed_on() -> None:
    root = container(securityContext={"runAsUser": 0})
    author = pod({"connect-inject": "true"}, containers=[root], initContainers=[kuma_init()])
    (warning,) = answer(author)["response"]["warnings"]
    assert warning.startswith('container "web" runs as user 0')


def test_warnings_are_as_long_as_the_api_server_passes_on() -> None:
    question = question_in(review(pod()))
    response = review_with(question, Injected(inject(pod()), ("x" * 300,)))["response"]
    assert response["warnings"] == ["x" * LONGEST_WARNING]


def test_the_namespace_is_the_requests() -> None:
    author = pod({"connect-inject": "true"})
    assert "patch" not in answer(author, namespace="kube-system")["response"]
    assert question_in(review(author, namespace="")).namespace == "default"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{}", "AdmissionReview of admission.k8s.io/v1 or admission.k8s.io/v1beta1 is needed"),
        (review(pod(), "admission.k8s.io/v2"), "is needed"),
        (json.dumps({"apiVersion": V1, "request": None}).encode(), "is needed"),
        (review(None), "request.object is no pod"),
        (review({"metadata": {}}), "request.object is no pod"),
        (review({"metadata": {}, "spec": []}), "request.object is no pod"),
    ],
)
def test_anything_else_is_no_review(body: bytes, problem: str) -> None:
    with pytest.raises(NotAReview, match=problem):
        question_in(body)


def test_a_patch_says_only_what_changes() -> None:
    before = {"metadata": {"labels": {"a": "b"}, "annotations": None}, "spec": {"volumes": [], "x": 1}}
    after = {
        "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": {"volumes": [1], "x": 1, "y": 2},
    }
    assert patch_between(before, after) == [
        {"op": "replace", "path": "/metadata/annotations", "value": {"c": "d"}},
        {"op": "replace", "path": "/spec/volumes", "value": [1]},
        {"op": "add", "path": "/spec/y", "value": 2},
    ]


def test_settings_change_between_two_questions() -> None:
    question = question_in(review(pod()))
    assert decided(question, SETTINGS) is not None
    assert decided(question, settings_with(inject_by_default=True)) is None
