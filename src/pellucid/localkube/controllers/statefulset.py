"""StatefulSet: numbered pods that keep their names and volumes, brought up and down in order.

Source: Kubernetes docs, "StatefulSets".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pellucid.localkube.controllers.adoption import adoptions
from pellucid.localkube.controllers.controller import Controller, its_controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan, Remove, Say
from pellucid.localkube.controllers.pods import has_ended, is_available, is_ready, pod_from_template
from pellucid.localkube.controllers.reading import (
    Object,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from pellucid.localkube.controllers.revisions import REVISION_LABEL, History, history
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """One step towards the wanted pods, and the status."""
    stateful_set = view.get(STATEFUL_SETS, key.namespace, key.name)
    if stateful_set is None or is_deleting(stateful_set):
        return NOTHING
    adopted = adoptions(view, PODS, stateful_set, lambda pod: ordinal_of(stateful_set, pod) is not None)
    if adopted:
        return Plan(adopted)
    owned = view.controlled(PODS, stateful_set)
    pods = {number: pod for pod in owned if (number := ordinal_of(stateful_set, pod)) is not None}
    kept = history(view, stateful_set, [labels_of(pod).get(REVISION_LABEL, "") for pod in owned])
    changes = [*kept.changes, *_step(view, stateful_set, kept, pods, now)]
    changes += _status_change(stateful_set, kept, pods, now)
    return Plan(tuple(changes))


def ordinal_of(stateful_set: Object, pod: Object) -> int | None:
    """The number at the end of a pod's name, if the rest is the StatefulSet's name."""
    start, _, number = name_of(pod).rpartition("-")
    return int(number) if start == name_of(stateful_set) and number.isdigit() else None


def _step(
    view: View, stateful_set: Object, kept: History, pods: dict[int, Object], now: datetime
) -> list[Change]:
    wanted = _ordinals(stateful_set)
    parallel = spec_of(stateful_set).get("podManagementPolicy") == "Parallel"
    changes: list[Change] = []
    for number in wanted:
        pod = pods.get(number)
        if pod is None:
            changes += _made(view, stateful_set, kept, number)
        elif has_ended(pod) and not is_deleting(pod):
            changes += _removed(stateful_set, pod)
        elif is_available(pod, _min_ready(stateful_set), now) and not is_deleting(pod):
            continue
        if not parallel:
            return changes or _broken_replaced(stateful_set, kept, pods, now)
    condemned = sorted((number for number in pods if number not in wanted), reverse=True)
    for number in condemned:
        if not is_deleting(pods[number]):
            changes += _removed(stateful_set, pods[number])
        if not parallel:
            return changes
    return changes or _rolled(stateful_set, kept, pods, now)


def _ordinals(stateful_set: Object) -> range:
    start = int((spec_of(stateful_set).get("ordinals") or {}).get("start", 0))
    return range(start, start + int(spec_of(stateful_set).get("replicas", 1)))


def _partition(stateful_set: Object) -> int:
    strategy = spec_of(stateful_set).get("updateStrategy") or {}
    return int((strategy.get("rollingUpdate") or {}).get("partition") or 0)


def _rolls(stateful_set: Object) -> bool:
    strategy = spec_of(stateful_set).get("updateStrategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def _rolled(stateful_set: Object, kept: History, pods: dict[int, Object], now: datetime) -> list[Change]:
    """Replace the highest pod of an old template, once all above it are as they should be."""
    if not _rolls(stateful_set):
        return []
    for number in reversed(_ordinals(stateful_set)):
        pod = pods.get(number)
        if pod is None or number < _partition(stateful_set):
            return []
        if labels_of(pod).get(REVISION_LABEL) != kept.digest:
            return [] if is_deleting(pod) else _removed(stateful_set, pod)
        if not is_available(pod, _min_ready(stateful_set), now):
            return []
    return []


def _broken_replaced(
    stateful_set: Object, kept: History, pods: dict[int, Object], now: datetime
) -> list[Change]:
    """A pod of an old template that does not come up would block its own update: it goes first."""
    if not _rolls(stateful_set):
        return []
    for number in reversed(_ordinals(stateful_set)):
        pod = pods.get(number)
        if pod is None or is_deleting(pod) or number < _partition(stateful_set):
            continue
        old = labels_of(pod).get(REVISION_LABEL) != kept.digest
        if old and not is_available(pod, _min_ready(stateful_set), now):
            return _removed(stateful_set, pod)
    return []


def _removed(stateful_set: Object, pod: Object) -> list[Change]:
    text = f"delete Pod {name_of(pod)} in StatefulSet {name_of(stateful_set)} successful"
    removed = Remove(PODS, namespace_of(pod), name_of(pod), uid_of(pod))
    return [removed, Say(stateful_set, "SuccessfulDelete", text)]


def _made(view: View, stateful_set: Object, kept: History, number: int) -> list[Change]:
    name = f"{name_of(stateful_set)}-{number}"
    template, digest = _template_for(stateful_set, kept, number)
    claims = spec_of(stateful_set).get("volumeClaimTemplates") or ()
    changes: list[Change] = [
        Create(PERSISTENT_VOLUME_CLAIMS, _claim(stateful_set, claim, name), quietly=True)
        for claim in claims
        if view.get(PERSISTENT_VOLUME_CLAIMS, namespace_of(stateful_set), f"{name_of(claim)}-{name}") is None
    ]
    labels = {POD_NAME: name, POD_INDEX: str(number), REVISION_LABEL: digest}
    pod = pod_from_template(stateful_set, template, name=name, labels=labels)
    pod = pod | {"spec": _spec(stateful_set, template["spec"], name)}
    text = f"create Pod {name} in StatefulSet {name_of(stateful_set)} successful"
    return [*changes, Create(PODS, pod, then=Say(stateful_set, "SuccessfulCreate", text))]


def _template_for(stateful_set: Object, kept: History, number: int) -> tuple[dict[str, Any], str]:
    """Pods below the partition keep the template before the present one."""
    if number < _partition(stateful_set) and kept.earlier:
        before = kept.earlier[-1]
        template = {k: v for k, v in before["data"]["spec"]["template"].items() if k != "$patch"}
        return template, labels_of(before)[REVISION_LABEL]
    return spec_of(stateful_set)["template"], kept.digest


def _spec(stateful_set: Object, spec: dict[str, Any], pod_name: str) -> dict[str, Any]:
    claims = spec_of(stateful_set).get("volumeClaimTemplates") or ()
    claimed = {name_of(claim) for claim in claims}
    volumes = [
        *(volume for volume in spec.get("volumes") or () if volume["name"] not in claimed),
        *(
            {
                "name": name_of(claim),
                "persistentVolumeClaim": {"claimName": f"{name_of(claim)}-{pod_name}"},
            }
            for claim in claims
        ),
    ]
    named = {"hostname": pod_name, "subdomain": spec_of(stateful_set).get("serviceName", "")}
    return spec | named | ({"volumes": volumes} if volumes else {})


def _claim(stateful_set: Object, claim: Object, pod_name: str) -> Object:
    labels = (spec_of(stateful_set).get("selector") or {}).get("matchLabels") or {}
    metadata = {
        "name": f"{name_of(claim)}-{pod_name}",
        "namespace": namespace_of(stateful_set),
        "labels": dict(labels_of(claim)) | labels,
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": claim["spec"],
    }


def _status_change(
    stateful_set: Object, kept: History, pods: dict[int, Object], now: datetime
) -> Sequence[Change]:
    present = list(pods.values())
    updated = sum(labels_of(pod).get(REVISION_LABEL) == kept.digest for pod in present)
    old = status_of(stateful_set)
    rolled = updated == len(present) == len(_ordinals(stateful_set)) and all(map(is_ready, present))
    current = kept.revision_name if rolled or not old.get("currentRevision") else old["currentRevision"]
    status = {
        "observedGeneration": stateful_set["metadata"].get("generation", 1),
        "replicas": len(present),
        "readyReplicas": sum(map(is_ready, present)),
        "availableReplicas": sum(is_available(pod, _min_ready(stateful_set), now) for pod in present),
        "currentReplicas": updated if current == kept.revision_name else len(present) - updated,
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": kept.revision_name,
        "collisionCount": 0,
    }
    if all(old.get(name) == value for name, value in status.items()):
        return ()
    name = name_of(stateful_set)
    return (Patch(STATEFUL_SETS, namespace_of(stateful_set), name, {"status": status}, "status"),)


def _min_ready(stateful_set: Object) -> int:
    return int(spec_of(stateful_set).get("minReadySeconds") or 0)


STATEFUL_SET_CONTROLLER = Controller(
    "statefulset", {STATEFUL_SETS: itself, PODS: its_controller("StatefulSet")}, reconcile
)
