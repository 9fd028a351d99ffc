"""What controllers need to know of pods: whether they count, serve, and in which order to part with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from pellucid.localkube.controllers.reading import (
    Object,
    annotations_of,
    condition,
    created_at,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    parse_time,
    spec_of,
    status_of,
)

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def phase(pod: Object) -> str:
    """`status.phase`, Pending when unset."""
    return str(status_of(pod).get("phase") or "Pending")


def has_ended(pod: Object) -> bool:
    """Whether the pod's containers have ended for good."""
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Whether the pod runs or will: not finished and not on its way out."""
    return not has_ended(pod) and not is_deleting(pod)


def is_ready(pod: Object) -> bool:
    """Whether condition Ready is True."""
    return (condition(pod, "Ready") or {}).get("status") == "True"


def available_at(pod: Object, min_ready_seconds: int) -> datetime | None:
    """When the pod has been ready for `min_ready_seconds`; None while it is not ready."""
    ready = condition(pod, "Ready") or {}
    since = parse_time(ready.get("lastTransitionTime"))
    if ready.get("status") != "True" or since is None:
        return None
    return since + timedelta(seconds=min_ready_seconds)


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for `min_ready_seconds`."""
    moment = available_at(pod, min_ready_seconds)
    return moment is not None and (min_ready_seconds == 0 or moment <= now)


def seconds_until_available(pods: Iterable[Object], min_ready_seconds: int, now: datetime) -> float | None:
    """Until the next ready pod becomes available; None if none is waiting for that."""
    moments = (available_at(pod, min_ready_seconds) for pod in pods)
    waits = [(moment - now).total_seconds() for moment in moments if moment is not None and moment > now]
    return min(waits) if waits and min_ready_seconds else None


def pod_from_template(
    owner: Object, template: dict[str, Any], *, name: str = "", labels: dict[str, str] | None = None
) -> Object:
    """A pod of `owner`: the template's labels, annotations and spec, and a controlling reference.

    Without `name` the API makes one up from the owner's.
    """
    meta = template.get("metadata") or {}
    metadata: dict[str, Any] = {"namespace": namespace_of(owner), "ownerReferences": [owner_reference(owner)]}
    metadata |= {"name": name} if name else {"generateName": f"{name_of(owner)}-"}
    if meta.get("labels") or labels:
        metadata["labels"] = (meta.get("labels") or {}) | (labels or {})
    for key in ("annotations", "finalizers"):
        if meta.get(key):
            metadata[key] = meta[key]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def first_to_go(pods: Iterable[Object]) -> list[Object]:
    """Pods in the order in which a scale-down deletes them.

    Unassigned, then Pending, then not ready, then lower deletion cost, then more restarts, then younger.
    Source: Kubernetes docs, "ReplicaSet - Scaling a ReplicaSet".
    """
    by_age = sorted(pods, key=created_at, reverse=True)
    return sorted(by_age, key=_rank)


def _rank(pod: Object) -> tuple[bool, bool, bool, int, int]:
    return (
        bool(spec_of(pod).get("nodeName")),
        phase(pod) != "Pending",
        is_ready(pod),
        _deletion_cost(pod),
        -sum(entry.get("restartCount", 0) for entry in status_of(pod).get("containerStatuses") or ()),
    )


def _deletion_cost(pod: Object) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0
