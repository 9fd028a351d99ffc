"""ReplicaSet: as many pods of a template as asked for.

Source: Kubernetes docs, "ReplicaSet".
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.controllers.adoption import adoptions
from pellucid.localkube.controllers.controller import Controller, its_controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan, Remove, Say
from pellucid.localkube.controllers.pods import (
    first_to_go,
    is_active,
    is_available,
    is_ready,
    pod_from_template,
    seconds_until_available,
)
from pellucid.localkube.controllers.reading import (
    Object,
    controller_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    selects,
    spec_of,
    status_of,
    uid_of,
    with_condition,
    without_condition,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import PODS, REPLICA_SETS

BURST = 500
"""Most pods made or deleted in one step."""


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Adopt, make or delete pods, and write the counts."""
    replica_set = view.get(REPLICA_SETS, key.namespace, key.name)
    if replica_set is None:
        return NOTHING
    pods = [pod for pod in view.controlled(PODS, replica_set) if is_active(pod)]
    if is_deleting(replica_set):
        return Plan(_status_change(replica_set, pods, now))
    adopted = adoptions(view, PODS, replica_set, is_active)
    moved = _scaled(replica_set, pods) if not adopted else ()
    wait = seconds_until_available(pods, _min_ready(replica_set), now)
    return Plan((*adopted, *moved, *_status_change(replica_set, pods, now)), wait)


def refused(view: View, key: Key, error: ApiError, now: datetime) -> tuple[Change, ...]:
    """Say on the ReplicaSet that a pod could not be made, and why."""
    replica_set = view.get(REPLICA_SETS, key.namespace, key.name)
    if replica_set is None or error.reason == "Conflict":
        return ()
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": error.message,
    }
    conditions = with_condition(status_of(replica_set).get("conditions") or (), failure, now)
    said = Say(replica_set, "FailedCreate", f"Error creating: {error.message}", "Warning")
    return (said, _status_patch(replica_set, {"conditions": conditions}))


def _scaled(replica_set: Object, pods: list[Object]) -> tuple[Change, ...]:
    missing = int(spec_of(replica_set).get("replicas", 1)) - len(pods)
    if missing > 0:
        said = Say(replica_set, "SuccessfulCreate", "Created pod: {name}")
        made = Create(PODS, pod_from_template(replica_set, replica_set["spec"]["template"]), then=said)
        return (made,) * min(missing, BURST)
    if missing == 0:
        return ()
    changes: list[Change] = []
    for pod in first_to_go(pods)[: min(-missing, BURST)]:
        changes.append(Remove(PODS, namespace_of(pod), name_of(pod), uid_of(pod)))
        changes.append(Say(replica_set, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"))
    return tuple(changes)


def _status_change(replica_set: Object, pods: list[Object], now: datetime) -> tuple[Change, ...]:
    old = status_of(replica_set)
    template_labels = (spec_of(replica_set)["template"].get("metadata") or {}).get("labels") or {}
    complete = len(pods) >= spec_of(replica_set).get("replicas", 1)
    conditions = list(old.get("conditions") or ())
    status = {
        "replicas": len(pods),
        "fullyLabeledReplicas": sum(template_labels.items() <= labels_of(pod).items() for pod in pods),
        "readyReplicas": sum(map(is_ready, pods)),
        "availableReplicas": sum(is_available(pod, _min_ready(replica_set), now) for pod in pods),
        "observedGeneration": replica_set["metadata"].get("generation", 1),
    }
    if conditions and complete:
        status["conditions"] = without_condition(conditions, "ReplicaFailure")
    if all(old.get(name, 0 if isinstance(value, int) else None) == value for name, value in status.items()):
        return ()
    return (_status_patch(replica_set, status),)


def _status_patch(replica_set: Object, status: dict[str, object]) -> Patch:
    return Patch(REPLICA_SETS, namespace_of(replica_set), name_of(replica_set), {"status": status}, "status")


def _min_ready(replica_set: Object) -> int:
    return int(spec_of(replica_set).get("minReadySeconds") or 0)


def _matches(replica_set: Object, pod: Object) -> bool:
    return selects(spec_of(replica_set).get("selector"), labels_of(pod))


def _of_pod(view: View, pod: Object) -> Iterable[Key]:
    """The pod's ReplicaSet, or for an orphan every one that would adopt it."""
    if controller_of(pod) is not None:
        return its_controller("ReplicaSet")(view, pod)
    return [
        Key(namespace_of(found), name_of(found))
        for found in view.list(REPLICA_SETS, namespace_of(pod))
        if _matches(found, pod)
    ]


REPLICA_SET_CONTROLLER = Controller("replicaset", {REPLICA_SETS: itself, PODS: _of_pod}, reconcile, refused)
