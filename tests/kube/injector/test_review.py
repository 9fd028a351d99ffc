"""The API server asks about pods and gets answers it understands."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pellucid.kube.injector.mutation import Injected
from pellucid.kube.injector.review import (
    LONGEST_WARNING,
    decided,
    mutated,
    patch_between,
    require_pod,
    response_to,
)
from pellucid.kube.webhook.review import NotAReview, Question
from tests.kube.injector.pods import SETTINGS, Pod, container, inject, kuma_init, pod, settings_with


def question(author: Pod, namespace: str = "default") -> Question:
    return Question("admission.k8s.io/v1", "705ab4f5", "CREATE", namespace, author, {})


def answer(author: Pod, namespace: str = "default") -> dict[str, Any]:
    """The response that comes back."""
    asked = question(author, namespace)
    return response_to(asked, decided(asked, SETTINGS) or mutated(asked, {}, SETTINGS))


def test_a_pod_that_needs_no_sidecar_is_allowed_as_it_is() -> None:
    assert answer(pod()) == {
        "allowed": True,
        "status": {"message": "Pod web-1 does not require injection"},
    }


def test_a_pod_that_misspells_what_it_wants_is_told_what_it_may_mean() -> None:
    response = answer(pod({"connect-injct": "true"}))
    assert response["allowed"]
    assert response["warnings"] == [
        "there is no annotation consul.hashicorp.com/connect-injct; "
        "did you mean consul.hashicorp.com/connect-inject?"
    ]


def test_a_pod_that_has_no_name_yet_is_called_by_what_its_name_will_begin_with() -> None:
    author = pod()
    author["metadata"] = {"generateName": "web-"}
    assert answer(author)["status"]["message"] == "Pod web- does not require injection"


def test_a_pod_that_gets_a_sidecar_is_allowed_with_a_patch() -> None:
    response = answer(pod({"connect-inject": "true"}))
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
    response = answer(author)
    assert response["allowed"] is False
    assert (response["status"]["code"], response["status"]["reason"]) == (400, "BadRequest")
    assert response["status"]["message"]
    assert "patch" not in response


def test_what_the_author_should_know_is_passed_on() -> None:
    root = container(securityContext={"runAsUser": 0})
    author = pod({"connect-inject": "true"}, containers=[root], initContainers=[kuma_init()])
    (warning,) = answer(author)["warnings"]
    assert warning.startswith('container "web" runs as user 0')


def test_warnings_are_as_long_as_the_api_server_passes_on() -> None:
    response = response_to(question(pod()), Injected(inject(pod()), ("x" * 300,)))
    assert response["warnings"] == ["x" * LONGEST_WARNING]


def test_the_namespace_is_the_questions() -> None:
    author = pod({"connect-inject": "true"})
    assert "patch" not in answer(author, namespace="kube-system")


@pytest.mark.parametrize("item", [{"metadata": {}}, {"metadata": {}, "spec": []}])
def test_what_is_no_pod_is_not_answered(item: Any) -> None:
    with pytest.raises(NotAReview, match=r"request\.object is no pod"):
        require_pod(question(item))


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
    assert decided(question(pod()), SETTINGS) is not None
    assert decided(question(pod()), settings_with(inject_by_default=True)) is None
