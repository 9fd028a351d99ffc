"""Node lifecycle: a node that stops reporting is marked, tainted, and parted from its pods.

Source: Kubernetes docs, "Nodes - Node heartbeats" and "Taints and Tolerations - Taint based Evictions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pellucid.localkube.controllers.controller import Controller, Trigger
from pellucid.localkube.controllers.plan import Change, Key, Patch, Plan, Remove, Say
from pellucid.localkube.controllers.pods import is_active, is_ready
from pellucid.localkube.controllers.reading import (
    Object,
    condition,
    format_time,
    is_deleting,
    name_of,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    uid_of,
    with_condition,
)
from pellucid.localkube.controllers.scheduler import tolerates
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import LEASES, NODES, PODS, Resource

LEASES_NAMESPACE = "kube-node-lease"
GRACE = timedelta(seconds=40)
"""How long a node may be silent before it is taken for lost."""
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_REPORTED = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")

Taint = dict[str, Any]


def node_lifecycle_controller(started_at: datetime) -> Controller:
    """The controller of nodes. What was silent while it did not run itself is not held against a node."""

    def reconcile_node(view: View, key: Key, now: datetime) -> Plan:
        return reconcile(view, key, now, started_at)

    triggers: dict[Resource, Trigger] = {NODES: _its_node, LEASES: _its_node, PODS: _node_of_pod}
    return Controller("node-lifecycle", triggers, reconcile_node)


def reconcile(view: View, key: Key, now: datetime, started_at: datetime) -> Plan:
    """Bring a node's conditions, its taints and its pods to what its silence, if any, means."""
    node = view.get(NODES, "", key.name)
    pods = [pod for pod in view.list(PODS) if spec_of(pod).get("nodeName") == key.name]
    if node is None:
        return Plan(tuple(_forgotten(pod) for pod in pods))
    silent_at = max(started_at, _last_sign(view, node)) + GRACE
    if silent_at <= now and (condition(node, "Ready") or {}).get("status") != "Unknown":
        return Plan((_lost(node, now), _said_not_ready(node)))
    taints = _wanted_taints(node, now)
    if taints != list(spec_of(node).get("taints") or ()):
        return Plan((Patch(NODES, "", key.name, {"spec": {"taints": taints or None}}),))
    changes = [*_unready(node, pods, now), *_evictions(taints, pods, now)]
    waits = [silent_at, *(moment for pod in pods if (moment := _leaves_at(pod, taints)) is not None)]
    ahead = [(moment - now).total_seconds() for moment in waits if moment > now]
    return Plan(tuple(changes), min(ahead, default=None))


def _last_sign(view: View, node: Object) -> datetime:
    """When the node was last heard of: by its lease, its status, or its registration."""
    lease = view.get(LEASES, LEASES_NAMESPACE, name_of(node))
    signs = (
        spec_of(lease).get("renewTime") if lease else None,
        (condition(node, "Ready") or {}).get("lastHeartbeatTime"),
        node["metadata"].get("creationTimestamp"),
    )
    return max(moment for sign in signs if (moment := parse_time(sign)) is not None)


def _lost(node: Object, now: datetime) -> Patch:
    conditions = list(status_of(node).get("conditions") or ())
    for kind in _REPORTED:
        told = condition(node, kind) is not None
        new: Object = {
            "type": kind,
            "status": "Unknown",
            "reason": "NodeStatusUnknown" if told else "NodeStatusNeverUpdated",
            "message": "Kubelet stopped posting node status."
            if told
            else "Kubelet never posted node status.",
        }
        conditions = with_condition(conditions, new, now)
    return Patch(NODES, "", name_of(node), {"status": {"conditions": conditions}}, "status")


def _said_not_ready(node: Object) -> Say:
    return Say(node, "NodeNotReady", f"Node {name_of(node)} status is now: NodeNotReady")


def _wanted_taints(node: Object, now: datetime) -> list[Taint]:
    """The node's taints, with those that stand for its state as they are to be."""
    ready = (condition(node, "Ready") or {}).get("status")
    state = {"True": None, "False": NOT_READY}.get(ready or "", UNREACHABLE if ready else NOT_READY)
    wanted = [(state, "NoSchedule"), (state, "NoExecute")] if state else []
    wanted += [(UNSCHEDULABLE, "NoSchedule")] if spec_of(node).get("unschedulable") else []
    present = list(spec_of(node).get("taints") or ())
    kept = [
        taint
        for taint in present
        if taint["key"] not in (NOT_READY, UNREACHABLE, UNSCHEDULABLE)
        or (taint["key"], taint["effect"]) in wanted
    ]
    known = {(taint["key"], taint["effect"]) for taint in kept}
    return [*kept, *(_taint(key, effect, now) for key, effect in wanted if (key, effect) not in known)]


def _taint(key: str, effect: str, now: datetime) -> Taint:
    return {"key": key, "effect": effect, "timeAdded": format_time(now)}


def _unready(node: Object, pods: Iterable[Object], now: datetime) -> list[Change]:
    """Nothing is known of the pods of a lost node, so nobody should be sent to them."""
    if (condition(node, "Ready") or {}).get("status") == "True":
        return []
    changes: list[Change] = []
    for pod in pods:
        if is_ready(pod):
            new: Object = {"type": "Ready", "status": "False"}
            conditions = with_condition(status_of(pod).get("conditions") or (), new, now)
            patch = {"status": {"conditions": conditions}}
            changes.append(Patch(PODS, namespace_of(pod), name_of(pod), patch, "status"))
            changes.append(Say(pod, "NodeNotReady", "Node is not ready", "Warning"))
    return changes


def _leaves_at(pod: Object, taints: Sequence[Taint]) -> datetime | None:
    """When a pod must leave a node with these taints; None if it may stay."""
    moments = []
    for taint in taints:
        if taint["effect"] != "NoExecute":
            continue
        since = parse_time(taint.get("timeAdded")) or datetime.min.replace(tzinfo=UTC)
        granted = [one for one in spec_of(pod).get("tolerations") or () if tolerates(one, taint)]
        limits = [one["tolerationSeconds"] for one in granted if one.get("tolerationSeconds") is not None]
        if not granted:
            moments.append(since)
        elif len(limits) == len(granted):
            moments.append(since + timedelta(seconds=max(0, min(limits))))
    return min(moments, default=None)


def _evictions(taints: Sequence[Taint], pods: Iterable[Object], now: datetime) -> list[Change]:
    changes: list[Change] = []
    for pod in pods:
        moment = _leaves_at(pod, taints)
        if moment is not None and moment <= now and is_active(pod):
            text = f"Marking for deletion Pod {namespace_of(pod)}/{name_of(pod)}"
            changes.append(Say(pod, "TaintManagerEviction", text))
            changes.append(Remove(PODS, namespace_of(pod), name_of(pod), uid_of(pod)))
    return changes


def _forgotten(pod: Object) -> Remove:
    """A pod whose node is no more: nobody is left who could end it."""
    return Remove(PODS, namespace_of(pod), name_of(pod), uid_of(pod), grace_seconds=0)


def _its_node(_view: View, item: Mapping[str, Any]) -> Iterable[Key]:
    return (Key("", item["metadata"]["name"]),)


def _node_of_pod(view: View, pod: Object) -> Iterable[Key]:
    """Its node, where that is tainted or gone: any other leaves its pods alone."""
    name = str(spec_of(pod).get("nodeName") or "")
    node = view.get(NODES, "", name)
    concerns = name and (node is None or spec_of(node).get("taints"))
    return (Key("", name),) if concerns and not is_deleting(pod) else ()
