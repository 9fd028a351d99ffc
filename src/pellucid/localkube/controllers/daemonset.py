"""DaemonSet: one pod on every node that may have it.

Source: Kubernetes docs, "DaemonSet" and "Perform a Rolling Update on a DaemonSet".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pellucid.localkube.controllers.adoption import adoptions
from pellucid.localkube.controllers.controller import Controller, all_of, its_controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Change, Create, Key, Patch, Plan, Remove, Say
from pellucid.localkube.controllers.pods import (
    is_active,
    is_available,
    is_ready,
    phase,
    pod_from_template,
    seconds_until_available,
)
from pellucid.localkube.controllers.reading import (
    Object,
    created_at,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    scaled,
    spec_of,
    status_of,
    uid_of,
)
from pellucid.localkube.controllers.revisions import REVISION_LABEL, history
from pellucid.localkube.controllers.scheduler import node_keeps, node_takes
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import DAEMON_SETS, NODES, PODS

TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Give each node its pod, replace pods of an old template within maxUnavailable, write the counts."""
    daemon_set = view.get(DAEMON_SETS, key.namespace, key.name)
    if daemon_set is None or is_deleting(daemon_set):
        return NOTHING
    adopted = adoptions(view, PODS, daemon_set, is_active)
    if adopted:
        return Plan(adopted)
    pods = view.controlled(PODS, daemon_set)
    kept = history(view, daemon_set, [labels_of(pod).get(REVISION_LABEL, "") for pod in pods])
    wanted_pod = _pod(daemon_set, kept.digest)
    nodes = [node for node in view.list(NODES) if node_takes(wanted_pod, node)]
    keeping = {name_of(node) for node in view.list(NODES) if node_keeps(wanted_pod, node)}
    by_node = _by_node(pods)
    changes = [*kept.changes, *_placed(daemon_set, kept.digest, nodes, keeping, by_node)]
    if len(changes) == len(kept.changes):
        changes += _rolled(daemon_set, kept.digest, nodes, by_node, now)
    changes += _status_change(daemon_set, kept.digest, nodes, by_node, now)
    return Plan(tuple(changes), seconds_until_available(pods, _min_ready(daemon_set), now))


def _by_node(pods: Iterable[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for pod in sorted(pods, key=created_at):
        found.setdefault(_node_of(pod), []).append(pod)
    return found


def _node_of(pod: Object) -> str:
    """The node of a pod, which its affinity names before it is bound."""
    spec = spec_of(pod)
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name":
                return str(field["values"][0])
    return ""


def _placed(
    daemon_set: Object,
    digest: str,
    nodes: Sequence[Object],
    keeping: set[str],
    by_node: dict[str, list[Object]],
) -> list[Change]:
    """A pod for each of `nodes`, and none where it may not even stay: not in `keeping`."""
    wanted = {name_of(node) for node in nodes}
    changes: list[Change] = []
    for name in sorted(wanted):
        present = by_node.get(name, [])
        if not present:
            said = Say(daemon_set, "SuccessfulCreate", "Created pod: {name}")
            changes.append(Create(PODS, _pod(daemon_set, digest, name), then=said))
        active = [pod for pod in present if not is_deleting(pod)]
        failed = [pod for pod in active if phase(pod) == "Failed"]
        surplus = [pod for pod in active if phase(pod) != "Failed"][1:]
        changes += _removed(daemon_set, [*failed, *surplus])
    for name, pods in by_node.items():
        if name not in keeping:
            changes += _removed(daemon_set, [pod for pod in pods if not is_deleting(pod)])
    return changes


def _removed(daemon_set: Object, pods: Iterable[Object]) -> list[Change]:
    changes: list[Change] = []
    for pod in pods:
        changes.append(Remove(PODS, namespace_of(pod), name_of(pod), uid_of(pod)))
        changes.append(Say(daemon_set, "SuccessfulDelete", f"Deleted pod: {name_of(pod)}"))
    return changes


def _rolled(
    daemon_set: Object,
    digest: str,
    nodes: Sequence[Object],
    by_node: dict[str, list[Object]],
    now: datetime,
) -> list[Change]:
    strategy = spec_of(daemon_set).get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return []
    rolling = strategy.get("rollingUpdate") or {}
    budget = max(scaled(rolling.get("maxUnavailable", 1), len(nodes), up=True), 1)
    pods = [by_node[name_of(node)][-1] for node in nodes if by_node.get(name_of(node))]
    old = [pod for pod in pods if labels_of(pod).get(REVISION_LABEL) != digest and not is_deleting(pod)]
    serving = sum(is_available(pod, _min_ready(daemon_set), now) and not is_deleting(pod) for pod in pods)
    broken = [pod for pod in old if not is_available(pod, _min_ready(daemon_set), now)]
    whole = [pod for pod in old if is_available(pod, _min_ready(daemon_set), now)]
    return _removed(daemon_set, [*broken, *whole[: max(budget - (len(nodes) - serving), 0)]])


def _pod(daemon_set: Object, digest: str, node: str = "") -> Object:
    template = spec_of(daemon_set)["template"]
    labels = {REVISION_LABEL: digest, "pod-template-generation": str(_generation(daemon_set))}
    pod = pod_from_template(daemon_set, template, labels=labels)
    tolerations = [
        *(template["spec"].get("tolerations") or ()),
        *({"key": key, "operator": "Exists", "effect": effect} for key, effect in TOLERATED),
    ]
    spec: dict[str, Any] = template["spec"] | {"tolerations": tolerations}
    return pod | {"spec": spec | ({"affinity": _on_node(spec.get("affinity") or {}, node)} if node else {})}


def _on_node(affinity: dict[str, Any], node: str) -> dict[str, Any]:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    node_affinity = (affinity.get("nodeAffinity") or {}) | {
        "requiredDuringSchedulingIgnoredDuringExecution": required
    }
    return affinity | {"nodeAffinity": node_affinity}


def _generation(daemon_set: Object) -> int:
    return int(daemon_set["metadata"].get("generation", 1))


def _status_change(
    daemon_set: Object,
    digest: str,
    nodes: Sequence[Object],
    by_node: dict[str, list[Object]],
    now: datetime,
) -> list[Change]:
    wanted = {name_of(node) for node in nodes}
    chosen = [pods[-1] for name, pods in by_node.items() if name in wanted and not is_deleting(pods[-1])]
    available = sum(is_available(pod, _min_ready(daemon_set), now) for pod in chosen)
    status = {
        "currentNumberScheduled": len(chosen),
        "desiredNumberScheduled": len(nodes),
        "numberMisscheduled": sum(name not in wanted for name in by_node if name),
        "numberReady": sum(map(is_ready, chosen)),
        "updatedNumberScheduled": sum(labels_of(pod).get(REVISION_LABEL) == digest for pod in chosen),
        "numberAvailable": available,
        "numberUnavailable": len(nodes) - available,
        "observedGeneration": _generation(daemon_set),
    }
    old = status_of(daemon_set)
    if all(old.get(name, 0) == value for name, value in status.items()):
        return []
    return [Patch(DAEMON_SETS, namespace_of(daemon_set), name_of(daemon_set), {"status": status}, "status")]


def _min_ready(daemon_set: Object) -> int:
    return int(spec_of(daemon_set).get("minReadySeconds") or 0)


DAEMON_SET_CONTROLLER = Controller(
    "daemonset",
    {DAEMON_SETS: itself, PODS: its_controller("DaemonSet"), NODES: all_of(DAEMON_SETS)},
    reconcile,
)
