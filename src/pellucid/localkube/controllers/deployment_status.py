"""A Deployment's status: its counts, and the conditions that tell how its rollout goes.

Source: Kubernetes docs, "Deployments - Deployment status".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pellucid.localkube.controllers.reading import (
    Object,
    condition,
    format_time,
    name_of,
    parse_time,
    spec_of,
    status_of,
    with_condition,
)
from pellucid.localkube.controllers.rollout import replicas_of, surge_and_unavailable

NEVER = 2**31 - 1
"""A progressDeadlineSeconds of this means that there is none."""


@dataclass(frozen=True)
class Status:
    """The status to write, and in how many seconds the progress deadline must be checked."""

    value: dict[str, Any]
    deadline_in: float | None


def deployment_status(
    deployment: Object, newest: Object | None, sets: Sequence[Object], now: datetime
) -> Status:
    """What `status` must say, given all ReplicaSets of the Deployment."""
    counts = _counts(deployment, newest, sets)
    conditions = with_condition(
        status_of(deployment).get("conditions") or (), _available(deployment, counts, now), now
    )
    conditions = _with_progress(deployment, newest, counts, conditions, now)
    conditions = _with_failure(sets, conditions, now)
    value = counts | {"conditions": conditions}
    if status_of(deployment).get("collisionCount"):
        value["collisionCount"] = status_of(deployment)["collisionCount"]
    return Status(value, _deadline(deployment, conditions, counts, now))


def is_complete(deployment: Object, counts: dict[str, Any]) -> bool:
    """Whether every pod is of the newest template and available."""
    desired = replicas_of(deployment)
    return all(counts[key] == desired for key in ("updatedReplicas", "replicas", "availableReplicas"))


def _counts(deployment: Object, newest: Object | None, sets: Sequence[Object]) -> dict[str, Any]:
    def total(key: str) -> int:
        return sum(int(status_of(item).get(key) or 0) for item in sets)

    available = total("availableReplicas")
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": total("replicas"),
        "updatedReplicas": int(status_of(newest).get("replicas") or 0) if newest else 0,
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(sum(map(replicas_of, sets)) - available, 0),
    }


def _available(deployment: Object, counts: dict[str, Any], now: datetime) -> Object:
    _, unavailable = surge_and_unavailable(deployment)
    enough = counts["availableReplicas"] >= replicas_of(deployment) - unavailable
    return {
        "type": "Available",
        "status": "True" if enough else "False",
        "reason": "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        "lastUpdateTime": format_time(now),
    }


def _with_progress(
    deployment: Object, newest: Object | None, counts: dict[str, Any], conditions: list[Object], now: datetime
) -> list[Object]:
    current = condition(deployment, "Progressing") or {}
    if spec_of(deployment).get("paused"):
        return with_condition(
            conditions, _progressing("Unknown", "DeploymentPaused", "Deployment is paused", now), now
        )
    if current.get("reason") == "DeploymentPaused":
        resumed = _progressing("Unknown", "DeploymentResumed", "Deployment is resumed", now)
        return with_condition(conditions, resumed, now)
    if newest is None:
        return conditions
    named = f'ReplicaSet "{name_of(newest)}"'
    if is_complete(deployment, counts):
        done = _progressing("True", "NewReplicaSetAvailable", f"{named} has successfully progressed.", now)
        return with_condition(conditions, done, now)
    if not current:
        created = _progressing(
            "True", "NewReplicaSetCreated", f'Created new replica set "{name_of(newest)}"', now
        )
        return with_condition(conditions, created, now)
    finished = current.get("reason") == "NewReplicaSetAvailable"
    other_set = finished and named not in current.get("message", "")
    if _has_moved(status_of(deployment), counts) or other_set:
        moving = _progressing("True", "ReplicaSetUpdated", f"{named} is progressing.", now)
        return _renewed(conditions, moving, now)
    if not finished and _overdue(deployment, current, now):
        late = _progressing("False", "ProgressDeadlineExceeded", f"{named} has timed out progressing.", now)
        return with_condition(conditions, late, now)
    return conditions


def _has_moved(old: Any, counts: dict[str, Any]) -> bool:
    """Whether there are more new, ready or available pods than before, or fewer old ones."""

    def before(key: str) -> int:
        return int(old.get(key) or 0)

    old_pods_before = before("replicas") - before("updatedReplicas")
    return (
        any(counts[key] > before(key) for key in ("updatedReplicas", "readyReplicas", "availableReplicas"))
        or counts["replicas"] - counts["updatedReplicas"] < old_pods_before
    )


def _renewed(conditions: list[Object], new: Object, now: datetime) -> list[Object]:
    """As with_condition, but an equal condition gets the new lastUpdateTime all the same."""
    changed = with_condition(conditions, new, now)
    return [
        entry | {"lastUpdateTime": new["lastUpdateTime"]} if entry["type"] == new["type"] else entry
        for entry in changed
    ]


def _progressing(status: str, reason: str, message: str, now: datetime) -> Object:
    return {
        "type": "Progressing",
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": format_time(now),
    }


def _with_failure(sets: Sequence[Object], conditions: list[Object], now: datetime) -> list[Object]:
    failures = [found for item in sets if (found := condition(item, "ReplicaFailure"))]
    if not failures:
        return [entry for entry in conditions if entry["type"] != "ReplicaFailure"]
    failure = {
        "type": "ReplicaFailure",
        "status": failures[0]["status"],
        "reason": failures[0]["reason"],
        "message": failures[0]["message"],
        "lastUpdateTime": format_time(now),
    }
    return with_condition(conditions, failure, now)


def _seconds_left(deployment: Object, progressing: Any, now: datetime) -> float | None:
    allowed = int(spec_of(deployment).get("progressDeadlineSeconds", 600))
    since = parse_time(progressing.get("lastUpdateTime"))
    if allowed == NEVER or since is None:
        return None
    return allowed - (now - since).total_seconds()


def _overdue(deployment: Object, progressing: Any, now: datetime) -> bool:
    left = _seconds_left(deployment, progressing, now)
    return left is not None and left <= 0


def _deadline(
    deployment: Object, conditions: list[Object], counts: dict[str, Any], now: datetime
) -> float | None:
    if spec_of(deployment).get("paused") or is_complete(deployment, counts):
        return None
    for entry in conditions:
        if entry["type"] == "Progressing" and entry["status"] == "True":
            left = _seconds_left(deployment, entry, now)
            return None if left is None or entry["reason"] == "NewReplicaSetAvailable" else left + 1
    return None
