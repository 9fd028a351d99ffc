"""What the API itself writes into an object as it is created, changed and deleted.

Source: Kubernetes API conventions, "Metadata"; the registry strategies of Kubernetes 1.30.
"""

from __future__ import annotations

import base64
import datetime
from typing import Any

from pellucid.localkube.api.objects import MAX_GENERATED_BASE, Object, Source
from pellucid.localkube.types.kinds import (
    CRON_JOBS,
    CUSTOM_RESOURCE_DEFINITIONS,
    JOBS,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    Resource,
)

_KEPT_BY_UPDATES = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "selfLink",
)
INSTANCES = "customresourcecleanup.apiextensions.k8s.io"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


def born(resource: Resource, value: Object, namespace: str, source: Source) -> Object:
    """A new object with its name, identity and first status. The given one must be a deep copy."""
    meta = value.setdefault("metadata", {})
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"][:MAX_GENERATED_BASE] + source.suffix()
    if resource.namespaced:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    for name in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"):
        meta.pop(name, None)
    meta["uid"] = source.uid()
    meta["creationTimestamp"] = source.timestamp()
    meta.pop("generation", None)
    if resource.generation:
        meta["generation"] = 1
    if resource.status and resource.stored != NODES.stored:
        value.pop("status", None)
    _first_status(resource, value, source)
    return value


def _first_status(resource: Resource, value: Object, source: Source) -> None:
    match resource.stored:
        case PODS.stored:
            value["status"] = {"phase": "Pending", "qosClass": quality_of_service(value.get("spec") or {})}
        case NAMESPACES.stored:
            value["status"] = {"phase": "Active"}
        case PERSISTENT_VOLUME_CLAIMS.stored:
            value["status"] = {"phase": "Pending"}
        case PERSISTENT_VOLUMES.stored:
            value["status"] = {"phase": "Pending"}
        case SECRETS.stored:
            _encode_secret(value)
        case JOBS.stored:
            value["status"] = {}
            _select_own_pods(value)
        case CRON_JOBS.stored:
            value["status"] = {}
        case CUSTOM_RESOURCE_DEFINITIONS.stored:
            value["status"] = {}
        case ("", "services"):
            value["status"] = {"loadBalancer": {}}
        case _:
            if resource.status and not resource.custom:
                value.setdefault("status", {})


def _encode_secret(value: Object) -> None:
    stated = value.pop("stringData", None) or {}
    if stated:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in stated.items()}
        value["data"] = {**(value.get("data") or {}), **encoded}


def _select_own_pods(job: Object) -> None:
    """A job's pods are known by its uid, unless it says that it chooses them itself."""
    spec = job.get("spec") or {}
    if spec.get("manualSelector") or not isinstance(spec.get("template"), dict):
        return
    uid, name = job["metadata"]["uid"], job["metadata"].get("name", "")
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    for prefix in ("batch.kubernetes.io/", ""):
        labels[f"{prefix}controller-uid"] = uid
        labels[f"{prefix}job-name"] = name
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def changed(resource: Resource, old: Object, new: Object, subresource: str) -> Object:
    """The object a write leaves: what the write may not touch is as it was."""
    if subresource == "status":
        taken = {key: value for key, value in new.items() if key == "status"}
        result = {**{key: value for key, value in old.items() if key != "status"}, **taken}
        result["metadata"] = dict(old["metadata"])
        return result
    result = dict(new)
    meta = dict(new.get("metadata") or {})
    for name in _KEPT_BY_UPDATES:
        if name in old["metadata"]:
            meta[name] = old["metadata"][name]
        else:
            meta.pop(name, None)
    for name in ("name", "namespace", "resourceVersion", "managedFields"):
        meta.pop(name, None)
        if name in old["metadata"]:
            meta[name] = old["metadata"][name]
    result["metadata"] = meta
    if resource.status:
        result.pop("status", None)
        if "status" in old:
            result["status"] = old["status"]
    if resource.stored == NAMESPACES.stored and subresource != "finalize":
        result["spec"] = old.get("spec", {})
    if resource.stored == SECRETS.stored:
        _encode_secret(result)
    if resource.generation:
        grown = _intent(old) != _intent(result)
        meta["generation"] = old["metadata"].get("generation", 1) + (1 if grown else 0)
    return result


def _intent(value: Object) -> Object:
    return {key: part for key, part in value.items() if key not in ("metadata", "status")}


def same(one: Object, other: Object) -> bool:
    """Equal, but for who wrote it and when."""

    def bare(value: Object) -> Object:
        ignored = ("managedFields", "resourceVersion")
        return {**value, "metadata": {k: v for k, v in value["metadata"].items() if k not in ignored}}

    return bare(one) == bare(other)


def is_over(resource: Resource, value: Object) -> bool:
    """Whether a deleted object has nothing left to wait for."""
    meta = value["metadata"]
    if "deletionTimestamp" not in meta or meta.get("finalizers"):
        return False
    if resource.stored == NAMESPACES.stored and (value.get("spec") or {}).get("finalizers"):
        return False
    return not meta.get("deletionGracePeriodSeconds")


def held_by_instances(definition: Object) -> Object:
    """A definition that is to be deleted once none of its objects is left."""
    meta = dict(definition["metadata"])
    kept = [one for one in meta.get("finalizers") or () if one != INSTANCES]
    meta["finalizers"] = [*kept, INSTANCES]
    return {**definition, "metadata": meta}


def waits_for_instances(definition: Object) -> bool:
    """Whether a definition would be gone but for its objects."""
    meta = definition["metadata"]
    return "deletionTimestamp" in meta and meta.get("finalizers") == [INSTANCES]


def dying(
    resource: Resource, value: Object, propagation: str, grace_seconds: int | None, source: Source
) -> Object:
    """The object once its deletion has been asked for; `is_over` tells whether it goes at once."""
    meta = dict(value["metadata"])
    finalizers = [name for name in meta.get("finalizers") or () if name not in (FOREGROUND, ORPHAN)]
    if propagation == "Foreground":
        finalizers.append(FOREGROUND)
    elif propagation == "Orphan":
        finalizers.append(ORPHAN)
    meta.pop("finalizers", None)
    if finalizers:
        meta["finalizers"] = finalizers
    grace = _grace(resource, value, grace_seconds)
    if "deletionTimestamp" in meta:
        grace = min(grace, meta.get("deletionGracePeriodSeconds", 0))
    if "deletionTimestamp" not in meta or grace != meta.get("deletionGracePeriodSeconds"):
        meta["deletionTimestamp"] = _after(source, grace)
        meta["deletionGracePeriodSeconds"] = grace
    if resource.generation and "deletionTimestamp" not in value["metadata"]:
        meta["generation"] = meta.get("generation", 1) + 1
    result: dict[str, Any] = {**value, "metadata": meta}
    if resource.stored == NAMESPACES.stored:
        result["status"] = {**(value.get("status") or {}), "phase": "Terminating"}
    return result


def _after(source: Source, seconds: int) -> str:
    return (source.time() + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _grace(resource: Resource, value: Object, asked: int | None) -> int:
    """Only a pod that a node has taken has anything to be graceful about."""
    if resource.stored != PODS.stored:
        return 0
    spec = value.get("spec") or {}
    if not spec.get("nodeName") or (value.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    stated: int = spec.get("terminationGracePeriodSeconds", 30) if asked is None else asked
    return stated


def quality_of_service(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort. Source: Kubernetes docs, "Pod Quality of Service Classes"."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    stated = [one.get("resources") or {} for one in containers]
    if not any(one.get("limits") or one.get("requests") for one in stated):
        return "BestEffort"
    for one in stated:
        limits = one.get("limits") or {}
        requests = one.get("requests") or limits
        if any(name not in limits or requests.get(name) != limits[name] for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
