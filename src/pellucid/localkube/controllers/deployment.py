"""Deployment: moves pods from old ReplicaSets to the one of its present template.

Source: Kubernetes docs, "Deployments".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pellucid.localkube.controllers.adoption import adoptions
from pellucid.localkube.controllers.controller import Controller, its_controller, itself
from pellucid.localkube.controllers.deployment_status import deployment_status, is_complete
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan, Remove, Say
from pellucid.localkube.controllers.pods import has_ended
from pellucid.localkube.controllers.reading import (
    Object,
    annotations_of,
    controller_of,
    created_at,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    status_of,
    uid_of,
)
from pellucid.localkube.controllers.rollout import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    grown,
    is_recreate,
    needs_proportional_scaling,
    proportional,
    replicas_of,
    shrunk,
    surge_and_unavailable,
)
from pellucid.localkube.controllers.template_hash import HASH_LABEL, template_hash
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import DEPLOYMENTS, PODS, REPLICA_SETS

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """One step of the rollout, and the status."""
    deployment = view.get(DEPLOYMENTS, key.namespace, key.name)
    if deployment is None:
        return NOTHING
    adopted = adoptions(view, REPLICA_SETS, deployment, lambda item: True)
    if adopted:
        return Plan(adopted)
    sets = [item for item in view.controlled(REPLICA_SETS, deployment) if not is_deleting(item)]
    newest = newest_set(deployment, sets)
    old = [item for item in sets if item is not newest]
    status = deployment_status(deployment, newest, sets, now)
    changes = () if is_deleting(deployment) else _step(view, deployment, newest, old)
    if status.value != {key: status_of(deployment).get(key, 0) for key in status.value}:
        changes += (Patch(DEPLOYMENTS, key.namespace, key.name, {"status": status.value}, "status"),)
    if is_complete(deployment, status.value) and newest is not None:
        changes += _cleaned(deployment, old)
    return Plan(changes, status.deadline_in)


def newest_set(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet with the Deployment's present template; the oldest if there are several."""
    wanted = spec_of(deployment)["template"]
    for item in sorted(sets, key=created_at):
        if _without_hash(spec_of(item)["template"]) == _without_hash(wanted):
            return item
    return None


def revision_of(item: Object) -> int:
    """The number in the revision annotation; 0 without one."""
    text = annotations_of(item).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def _step(view: View, deployment: Object, newest: Object | None, old: Sequence[Object]) -> tuple[Change, ...]:
    sets = [*old, *([newest] if newest else ())]
    if needs_proportional_scaling(deployment, sets):
        return _resized(deployment, sets, proportional(deployment, sets))
    if spec_of(deployment).get("paused"):
        return _relabelled(deployment, newest, old) if newest else ()
    if is_recreate(deployment) and _old_still_there(view, old):
        return _resized(deployment, old, {name_of(item): 0 for item in old if replicas_of(item)})
    if newest is None:
        return _new_set(deployment, old)
    relabelled = _relabelled(deployment, newest, old)
    wanted = grown(deployment, replicas_of(newest), sum(map(replicas_of, sets)))
    if wanted != replicas_of(newest):
        return relabelled + _resized(deployment, [newest], {name_of(newest): wanted})
    if is_recreate(deployment):
        return relabelled
    return relabelled + _resized(deployment, old, shrunk(deployment, newest, old))


def _old_still_there(view: View, old: Sequence[Object]) -> bool:
    return any(
        replicas_of(item) > 0 or any(not has_ended(pod) for pod in view.controlled(PODS, item))
        for item in old
    )


def _new_set(deployment: Object, old: Sequence[Object]) -> tuple[Change, ...]:
    spec = spec_of(deployment)
    digest = template_hash(spec["template"], int(status_of(deployment).get("collisionCount") or 0))
    template = _with_label(spec["template"], digest)
    size = grown(deployment, 0, sum(map(replicas_of, old)))
    revision = max(map(revision_of, old), default=0) + 1
    item = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{digest}",
            "namespace": namespace_of(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": _set_annotations(deployment, {}, revision),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": size,
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": _selector(spec["selector"], digest),
            "template": template,
        },
    }
    said = Say(deployment, "ScalingReplicaSet", "Scaled up replica set {name} to " + str(size))
    return (Create(REPLICA_SETS, item, then=said), *_revision_noted(deployment, revision))


def _selector(selector: dict[str, Any], digest: str) -> dict[str, Any]:
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}}


def _relabelled(deployment: Object, newest: Object, old: Sequence[Object]) -> tuple[Change, ...]:
    """Bring annotations up to date: the newest ReplicaSet has the highest revision."""
    highest = max(map(revision_of, old), default=0)
    revision = revision_of(newest) if revision_of(newest) > highest else highest + 1
    annotations = _set_annotations(deployment, annotations_of(newest), revision)
    patch: dict[str, Any] = {}
    if annotations != annotations_of(newest):
        patch["metadata"] = {"annotations": annotations}
    if spec_of(newest).get("minReadySeconds", 0) != spec_of(deployment).get("minReadySeconds", 0):
        patch["spec"] = {"minReadySeconds": spec_of(deployment).get("minReadySeconds", 0)}
    changed = (Patch(REPLICA_SETS, namespace_of(newest), name_of(newest), patch),) if patch else ()
    return (*changed, *_revision_noted(deployment, revision))


def _revision_noted(deployment: Object, revision: int) -> tuple[Change, ...]:
    if revision_of(deployment) == revision:
        return ()
    patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
    return (Patch(DEPLOYMENTS, namespace_of(deployment), name_of(deployment), patch),)


def _set_annotations(deployment: Object, present: Any, revision: int) -> dict[str, str]:
    copied = {key: value for key, value in annotations_of(deployment).items() if key not in _NOT_COPIED}
    annotations = dict(present) | copied | _size_annotations(deployment) | {REVISION: str(revision)}
    before = present.get(REVISION)
    if before and before != str(revision):
        earlier = present.get(REVISION_HISTORY)
        annotations[REVISION_HISTORY] = f"{earlier},{before}" if earlier else before
    return annotations


def _size_annotations(deployment: Object) -> dict[str, str]:
    surge, _ = surge_and_unavailable(deployment)
    desired = replicas_of(deployment)
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(desired + surge)}


def _resized(deployment: Object, sets: Iterable[Object], wanted: Any) -> tuple[Change, ...]:
    changes: list[Change] = []
    for item in sets:
        size = wanted.get(name_of(item))
        if size is None:
            continue
        metadata = {"annotations": _size_annotations(deployment)}
        patch = {"metadata": metadata, "spec": {"replicas": size}}
        changes.append(Patch(REPLICA_SETS, namespace_of(item), name_of(item), patch))
        if size != replicas_of(item):
            way = "up" if size > replicas_of(item) else "down"
            text = f"Scaled {way} replica set {name_of(item)} to {size}"
            changes.append(Say(deployment, "ScalingReplicaSet", text))
    return tuple(changes)


def _cleaned(deployment: Object, old: Sequence[Object]) -> tuple[Change, ...]:
    limit = int(spec_of(deployment).get("revisionHistoryLimit", 10))
    idle = [item for item in old if not replicas_of(item) and not status_of(item).get("replicas")]
    extra = sorted(idle, key=revision_of)[: max(len(old) - limit, 0)]
    return tuple(Remove(REPLICA_SETS, namespace_of(item), name_of(item), uid_of(item)) for item in extra)


def _without_hash(template: dict[str, Any]) -> dict[str, Any]:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    rest = {key: value for key, value in metadata.items() if key != "creationTimestamp"}
    return template | {"metadata": rest | {"labels": labels}}


def _with_label(template: dict[str, Any], digest: str) -> dict[str, Any]:
    metadata = template.get("metadata") or {}
    return template | {
        "metadata": metadata | {"labels": (metadata.get("labels") or {}) | {HASH_LABEL: digest}}
    }


def _of_pod(view: View, pod: Object) -> Iterable[Key]:
    """A Recreate rollout waits for old pods to be gone, so each pod's going is looked at."""
    owner = controller_of(pod)
    if owner is None or owner["kind"] != "ReplicaSet" or not labels_of(pod).get(HASH_LABEL):
        return ()
    replica_set = view.get(REPLICA_SETS, namespace_of(pod), owner["name"])
    return its_controller("Deployment")(view, replica_set) if replica_set else ()


DEPLOYMENT_CONTROLLER = Controller(
    "deployment",
    {DEPLOYMENTS: itself, REPLICA_SETS: its_controller("Deployment"), PODS: _of_pod},
    reconcile,
)
