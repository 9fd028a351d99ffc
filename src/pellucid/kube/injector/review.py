"""An admission review: the API server's question, and the answer.

Source: Kubernetes docs, "Dynamic Admission Control - Webhook request and response".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.kube.annotations import CONNECT_INJECT_STATUS, InvalidAnnotationError
from pellucid.kube.injector.decision import wants_sidecar
from pellucid.kube.injector.known_annotations import advice_on_names
from pellucid.kube.injector.mutation import Injected, injected
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.pods import Object

VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")
LONGEST_WARNING = 256
"""Characters that the API server is sure to pass on."""


class NotAReview(ValueError):
    """The request is no admission review of a pod."""


class Question(msgspec.Struct, frozen=True):
    """A pod that is being created in a namespace. api_version: in which the answer is wanted."""

    api_version: str
    uid: str
    namespace: str
    pod: Object

    @property
    def name(self) -> str:
        """As far as the pod has one yet."""
        metadata = self.pod["metadata"]
        return str(metadata.get("name") or metadata.get("generateName") or "")


class Skipped(msgspec.Struct, frozen=True):
    """The pod stays as it is, and what its author should know about that."""

    reason: str
    warnings: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """The pod must not be created like this."""

    reason: str


Outcome = Injected | Skipped | Refused


def question_in(body: bytes) -> Question:
    """Read a review. Raises NotAReview."""
    try:
        review = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise NotAReview(f"the body is no JSON object: {error}") from None
    request, version = review.get("request"), review.get("apiVersion")
    if version not in VERSIONS or not isinstance(request, Mapping):
        raise NotAReview(f"an AdmissionReview of {' or '.join(VERSIONS)} is needed")
    pod = request.get("object")
    if not isinstance(pod, Mapping) or not all(
        isinstance(pod.get(part), Mapping) for part in ("metadata", "spec")
    ):
        raise NotAReview("request.object is no pod")
    namespace = request.get("namespace") or pod["metadata"].get("namespace") or "default"
    return Question(version, str(request.get("uid", "")), namespace, pod)


def decided(question: Question, settings: InjectorSettings) -> Skipped | Refused | None:
    """What can be said at once; None for a pod that is to get a sidecar."""
    try:
        if wants_sidecar(question.pod, question.namespace, settings):
            return None
    except InvalidAnnotationError as error:
        return Refused(str(error))
    annotations = question.pod["metadata"].get("annotations") or {}
    warnings = () if annotations.get(CONNECT_INJECT_STATUS) else tuple(advice_on_names(annotations))
    return Skipped(f"Pod {question.name} does not require injection", warnings)


def mutated(question: Question, namespace_labels: Mapping[str, str], settings: InjectorSettings) -> Outcome:
    """The pod with its sidecar, or why that cannot be."""
    try:
        return injected(question.pod, namespace_labels, settings)
    except InvalidAnnotationError as error:
        return Refused(str(error))


def review_with(question: Question, outcome: Outcome) -> dict[str, Any]:
    """The review that answers a question."""
    response = {"uid": question.uid, **_response(question.pod, outcome)}
    return {"apiVersion": question.api_version, "kind": "AdmissionReview", "response": response}


def _response(pod: Object, outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Skipped(reason, warnings):
            return {"allowed": True, "status": {"message": reason}, **_told(warnings)}
        case Refused(reason):
            return {"allowed": False, "status": {"code": 400, "reason": "BadRequest", "message": reason}}
        case Injected(changed, warnings):
            patch = json.dumps(patch_between(pod, changed)).encode()
            encoded = base64.b64encode(patch).decode()
            return {"allowed": True, "patchType": "JSONPatch", "patch": encoded, **_told(warnings)}


def _told(warnings: tuple[str, ...]) -> dict[str, Any]:
    return {"warnings": [warning[:LONGEST_WARNING] for warning in warnings]} if warnings else {}


def patch_between(before: Object, after: Object) -> list[dict[str, Any]]:
    """The parts that an injection changes, each replaced as a whole. Source: RFC 6902."""
    operations: list[dict[str, Any]] = []
    for section, names in (("metadata", ("annotations", "labels")), ("spec", tuple(after["spec"]))):
        for name in names:
            was, now = before[section].get(name), after[section][name]
            if was != now:
                operation = "replace" if name in before[section] else "add"
                operations.append({"op": operation, "path": f"/{section}/{name}", "value": now})
    return operations
