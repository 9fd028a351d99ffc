"""The `scale` subresource: how many, whatever the kind. Source: autoscaling/v1 Scale."""

from __future__ import annotations

import datetime
from typing import Any

from pellucid.localkube.api.admission import User
from pellucid.localkube.api.patches import json_patch, merge_patch
from pellucid.localkube.api.status import bad_request, method_not_allowed, not_found, unsupported_media_type
from pellucid.localkube.api.store import Resources
from pellucid.localkube.http import bodies, requests
from pellucid.localkube.http.connection import Request
from pellucid.localkube.http.requests import PATCH_KINDS, Target
from pellucid.localkube.http.tables import metadata_only
from pellucid.localkube.types.columns import AGE, NAME, Column, age, path_value, selector_text

Object = dict[str, Any]


async def scaled(resources: Resources, request: Request, target: Target, user: User) -> Object:
    """Answer GET, PUT or PATCH of a Scale. Raises ApiError."""
    places = _places(resources, target)
    found = resources.peek(target.resource, target.namespace, target.name)
    if found is None:
        raise not_found(target.resource, target.name)
    [current] = await resources.seen(target.resource, [found])
    shown = _scale(current, places)
    match request.method:
        case "GET":
            return shown
        case "PUT":
            wanted = bodies.body_object(request)
        case "PATCH":
            wanted = _patched(request, shown)
        case _:
            raise method_not_allowed()
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        raise bad_request(f"spec.replicas: Invalid value: {replicas!r}: must be greater than or equal to 0")
    change: Object = {}
    inner = change
    *path, last = places["specReplicasPath"].strip(".").split(".")
    for step in path:
        inner = inner.setdefault(step, {})
    inner[last] = replicas
    version = (wanted.get("metadata") or {}).get("resourceVersion")
    if version:
        change["metadata"] = {"resourceVersion": version}
    options = requests.options_of(request, user)
    changed = await resources.patch(target.resource, target.namespace, target.name, change, options=options)
    return _scale(changed, places)


def _patched(request: Request, shown: Object) -> Object:
    kind = PATCH_KINDS.get(bodies.media_type(request))
    patch = bodies.json_of(request.body)
    unversioned = {**shown, "metadata": {**shown["metadata"], "resourceVersion": ""}}
    if kind == "json":
        return json_patch(unversioned, patch)  # type: ignore[no-any-return]
    if kind in ("merge", "strategic"):
        return merge_patch(unversioned, patch)  # type: ignore[no-any-return]
    raise unsupported_media_type(tuple(PATCH_KINDS))


def _places(resources: Resources, target: Target) -> Object:
    """Where a kind keeps its numbers; custom kinds say so themselves."""
    definition = resources.definition(target.resource)
    if definition is None:
        return {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    version = next(one for one in definition["spec"]["versions"] if one["name"] == target.resource.version)
    stated: Object = version["subresources"]["scale"]
    return stated


def _scale(value: Object, places: Object) -> Object:
    meta = value["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": path_value(value, places["statusReplicasPath"]) or 0}
    selector = (value.get("spec") or {}).get("selector")
    if isinstance(selector, dict):
        status["selector"] = selector_text(selector)
    elif "labelSelectorPath" in places:
        status["selector"] = path_value(value, places["labelSelectorPath"]) or ""
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in kept if name in meta},
        "spec": {"replicas": path_value(value, places["specReplicasPath"]) or 0},
        "status": status,
    }


def scale_table(scale: Object, now: datetime.datetime) -> Object:
    """A Scale as a row, for clients that print it."""
    columns = (NAME, Column("Desired", "integer"), Column("Available", "integer"), AGE)
    meta = scale["metadata"]
    cells = [
        meta["name"],
        scale["spec"]["replicas"],
        scale["status"]["replicas"],
        age(meta.get("creationTimestamp"), now),
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": meta.get("resourceVersion", "")},
        "columnDefinitions": [column.shown() for column in columns],
        "rows": [{"cells": cells, "object": metadata_only(scale)}],
    }
