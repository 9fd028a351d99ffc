"""What the API server is told about a pod: left alone, refused with a reason, or changed by a patch.

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
from pellucid.kube.webhook.review import NotAReview, Question, refusal

LONGEST_WARNING = 256
"""Characters that the API server is sure to pass on."""


class Skipped(msgspec.Struct, frozen=True):
    """The pod stays as it is, and what its author should know about that."""

    reason: str
    warnings: tuple[str, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """The pod must not be created like this."""

    reason: str


Outcome = Injected | Skipped | Refused


def require_pod(question: Question) -> None:
    """Raises NotAReview for a question about anything else."""
    if not isinstance(question.item.get("spec"), Mapping):
        raise NotAReview("request.object is no pod")


def decided(question: Question, settings: InjectorSettings) -> Skipped | Refused | None:
    """What can be said at once; None for a pod that is to get a sidecar."""
    try:
        if wants_sidecar(question.item, question.namespace, settings):
            return None
    except InvalidAnnotationError as error:
        return Refused(str(error))
    annotations = question.item["metadata"].get("annotations") or {}
    warnings = () if annotations.get(CONNECT_INJECT_STATUS) else tuple(advice_on_names(annotations))
    return Skipped(f"Pod {_name_of(question.item)} does not require injection", warnings)


def mutated(question: Question, namespace_labels: Mapping[str, str], settings: InjectorSettings) -> Outcome:
    """The pod with its sidecar, or why that cannot be."""
    try:
        return injected(question.item, namespace_labels, settings)
    except InvalidAnnotationError as error:
        return Refused(str(error))


def response_to(question: Question, outcome: Outcome) -> dict[str, Any]:
    """The response to the API server."""
    match outcome:
        case Skipped(reason, warnings):
            return {"allowed": True, "status": {"message": reason}, **_told(warnings)}
        case Refused(reason):
            return refusal(reason)
        case Injected(changed, warnings):
            patch = json.dumps(patch_between(question.item, changed)).encode()
            encoded = base64.b64encode(patch).decode()
            return {"allowed": True, "patchType": "JSONPatch", "patch": encoded, **_told(warnings)}


def _name_of(pod: Object) -> str:
    """As people know it: the name that the API server gives comes after us."""
    metadata = pod["metadata"]
    return str(metadata.get("name") or metadata.get("generateName") or "")


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
