"""An admission review: the API server's question, and the answer.

Source: Kubernetes docs, "Dynamic Admission Control - Webhook request and response".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from pellucid.kube.annotations import InvalidAnnotationError
from pellucid.kube.injector.decision import wants_sidecar
from pellucid.kube.injector.mutation import injected
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.pods import Object

VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")


class NotAReview(ValueError):
    """The request is no admission review of a pod."""


def namespace_of(review: Mapping[str, Any]) -> str:
    """The namespace in which the pod is being created. Raises NotAReview."""
    request = review.get("request")
    if review.get("apiVersion") not in VERSIONS or not isinstance(request, Mapping):
        raise NotAReview(f"an AdmissionReview of {' or '.join(VERSIONS)} is needed")
    if not isinstance(request.get("object"), Mapping) or "metadata" not in request["object"]:
        raise NotAReview("request.object is no pod")
    return str(request.get("namespace") or "default")


def answer(
    review: Mapping[str, Any], namespace_labels: Mapping[str, str], settings: InjectorSettings
) -> dict[str, Any]:
    """The review with its response."""
    request = review["request"]
    response = {"uid": request.get("uid", ""), **_response(request, namespace_labels, settings)}
    return {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}


def _response(
    request: Mapping[str, Any], namespace_labels: Mapping[str, str], settings: InjectorSettings
) -> dict[str, Any]:
    pod: Object = request["object"]
    name = pod["metadata"].get("name") or pod["metadata"].get("generateName", "")
    try:
        if not wants_sidecar(pod, str(request.get("namespace") or "default"), settings):
            return {"allowed": True, "status": {"message": f"Pod {name} does not require injection"}}
        changed = injected(pod, namespace_labels, settings)
    except InvalidAnnotationError as error:
        return {"allowed": False, "status": {"code": 400, "reason": "BadRequest", "message": str(error)}}
    patch = json.dumps(patch_between(pod, changed)).encode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}


def patch_between(before: Object, after: Object) -> list[dict[str, Any]]:
    """The parts that an injection changes, each replaced as a whole. Source: RFC 6902."""
    operations: list[dict[str, Any]] = []
    for section, names in (("metadata", ("annotations", "labels")), ("spec", tuple(after["spec"]))):
        for name in names:
            was, now = before[section].get(name), after[section][name]
            if was != now:
                operation = "add" if was is None else "replace"
                operations.append({"op": operation, "path": f"/{section}/{name}", "value": now})
    return operations
