"""The scheduler: a node for each pod, the one with the fewest pods among those that may have it.

Source: Kubernetes docs, "Assigning Pods to Nodes" and "Taints and Tolerations".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from pellucid.localkube.controllers.controller import Controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Key, Patch, Plan, Say
from pellucid.localkube.controllers.pods import is_active, phase
from pellucid.localkube.controllers.reading import (
    Object,
    condition,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    selects,
    spec_of,
    status_of,
    with_condition,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import NODES, PODS
from pellucid.localkube.types.quantities import quantity

SCHEDULER = "default-scheduler"
PODS_PER_NODE = 110
"""Where the node does not say how many it takes."""


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Bind a pod that waits for a node, or say why none will do."""
    pod = view.get(PODS, key.namespace, key.name)
    if pod is None or not _waits(pod):
        return NOTHING
    nodes = view.list(NODES)
    on_node = _active_by_node(view)
    objections = {name_of(node): objection(pod, node, on_node.get(name_of(node), ())) for node in nodes}
    fitting = [node for node in nodes if objections[name_of(node)] is None]
    if not fitting:
        return Plan(_unschedulable(pod, objections, now))
    chosen = min(fitting, key=lambda node: (len(on_node.get(name_of(node), ())), name_of(node)))
    return Plan(_bound(pod, name_of(chosen), now))


def _waits(pod: Object) -> bool:
    spec = spec_of(pod)
    return (
        not spec.get("nodeName")
        and not spec.get("schedulingGates")
        and spec.get("schedulerName", SCHEDULER) == SCHEDULER
        and phase(pod) == "Pending"
        and not is_deleting(pod)
    )


def _active_by_node(view: View) -> dict[str, list[Object]]:
    nodes: dict[str, list[Object]] = {}
    for pod in view.list(PODS):
        if spec_of(pod).get("nodeName") and (is_active(pod) or is_deleting(pod)):
            nodes.setdefault(spec_of(pod)["nodeName"], []).append(pod)
    return nodes


def objection(pod: Object, node: Object, present: Iterable[Object]) -> str | None:
    """Why `pod` may not go to `node`, where the pods `present` are; None if it may."""
    present = list(present)
    if (condition(node, "Ready") or {}).get("status") != "True":
        return "node(s) were not ready"
    if spec_of(node).get("unschedulable") and not _tolerates_unschedulable(pod):
        return "node(s) were unschedulable"
    if (taint := _untolerated(pod, node)) is not None:
        return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    if not _selected(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    allocatable = status_of(node).get("allocatable") or {}
    if len(present) >= int(allocatable.get("pods", PODS_PER_NODE)):
        return "Too many pods"
    if (lacking := _lacking(pod, allocatable)) is not None:
        return f"Insufficient {lacking}"
    if _host_ports(pod) & set().union(*(_host_ports(other) for other in present)):
        return "node(s) didn't have free ports for the requested pod ports"
    if any(_repels(term, pod, other) for term in _anti_affinity(pod) for other in present):
        return "node(s) didn't match pod anti-affinity rules"
    return None


def _lacking(pod: Object, allocatable: Mapping[str, str]) -> str | None:
    """A resource of which the pod asks for more than the whole node has.

    What other pods asked for is not counted: this machine's processes share it anyway.
    """
    if not allocatable:
        return None
    spec = spec_of(pod)
    inits = spec.get("initContainers") or ()
    lasting = [*spec["containers"], *(one for one in inits if one.get("restartPolicy") == "Always")]
    names = {name for one in (*lasting, *inits) for name in _requests(one)}
    for name in sorted(names):
        together = sum((_requests(one).get(name, Fraction(0)) for one in lasting), Fraction(0))
        largest = max((_requests(one).get(name, Fraction(0)) for one in inits), default=Fraction(0))
        if max(together, largest) > quantity(str(allocatable.get(name, "0"))):
            return name
    return None


def _requests(container: Mapping[str, Any]) -> dict[str, Fraction]:
    resources = container.get("resources") or {}
    stated = (resources.get("limits") or {}) | (resources.get("requests") or {})
    return {name: quantity(str(amount)) for name, amount in stated.items()}


def node_takes(pod: Object, node: Object) -> bool:
    """Whether `pod` may run on `node` as far as its selector, its tolerations and the taints say."""
    return _untolerated(pod, node) is None and _selected(pod, node)


def node_keeps(pod: Object, node: Object) -> bool:
    """Whether `pod` may go on running on `node` once it is there: only NoExecute taints drive it away."""
    return _untolerated(pod, node, ("NoExecute",)) is None and _selected(pod, node)


def _untolerated(
    pod: Object, node: Object, effects: tuple[str, ...] = ("NoSchedule", "NoExecute")
) -> Mapping[str, Any] | None:
    tolerations = spec_of(pod).get("tolerations") or ()
    for taint in spec_of(node).get("taints") or ():
        if taint.get("effect") in effects and not any(
            tolerates(toleration, taint) for toleration in tolerations
        ):
            return dict(taint)
    return None


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether a toleration covers a taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _tolerates_unschedulable(pod: Object) -> bool:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    return any(tolerates(toleration, taint) for toleration in spec_of(pod).get("tolerations") or ())


def _selected(pod: Object, node: Object) -> bool:
    labels = labels_of(node)
    if not (spec_of(pod).get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (spec_of(pod).get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(
        _term_matches(term, node) for term in required.get("nodeSelectorTerms") or ()
    )


def _term_matches(term: Mapping[str, Any], node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    named = {"metadata.name": name_of(node)}
    return all(_expression_matches(one, labels_of(node)) for one in expressions) and all(
        _expression_matches(one, named) for one in fields
    )


def _expression_matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    if expression["operator"] in ("Gt", "Lt"):
        try:
            value, bound = int(labels[expression["key"]]), int(expression["values"][0])
        except (KeyError, ValueError):
            return False
        return value > bound if expression["operator"] == "Gt" else value < bound
    return selects({"matchExpressions": [expression]}, labels)


def _host_ports(pod: Object) -> set[tuple[str, int]]:
    return {
        (port.get("protocol", "TCP"), port["hostPort"])
        for container in spec_of(pod).get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def _anti_affinity(pod: Object) -> list[Mapping[str, Any]]:
    affinity = (spec_of(pod).get("affinity") or {}).get("podAntiAffinity") or {}
    return list(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ())


def _repels(term: Mapping[str, Any], pod: Object, other: Object) -> bool:
    """Every node is a topology of its own here, so only pods on the same one repel each other."""
    namespaces = term.get("namespaces") or [namespace_of(pod)]
    return namespace_of(other) in namespaces and selects(term.get("labelSelector"), labels_of(other))


def _bound(pod: Object, node: str, now: datetime) -> tuple[Patch | Say, ...]:
    scheduled = {"type": "PodScheduled", "status": "True"}
    text = f"Successfully assigned {namespace_of(pod)}/{name_of(pod)} to {node}"
    return (
        _condition_patch(pod, scheduled, now),
        Patch(PODS, namespace_of(pod), name_of(pod), {"spec": {"nodeName": node}}),
        Say(pod, "Scheduled", text),
    )


def _unschedulable(
    pod: Object, objections: Mapping[str, str | None], now: datetime
) -> tuple[Patch | Say, ...]:
    reasons = sorted(Counter(filter(None, objections.values())).items())
    told = ", ".join(f"{count} {reason}" for reason, count in reasons)
    message = (
        f"0/{len(objections)} nodes are available: {told}."
        if objections
        else "no nodes available to schedule pods"
    )
    failed = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    if (condition(pod, "PodScheduled") or {}).get("message") == message:
        return ()
    return (_condition_patch(pod, failed, now), Say(pod, "FailedScheduling", message, "Warning"))


def _condition_patch(pod: Object, new: Object, now: datetime) -> Patch:
    conditions = with_condition(status_of(pod).get("conditions") or (), new, now)
    return Patch(PODS, namespace_of(pod), name_of(pod), {"status": {"conditions": conditions}}, "status")


def _waiting(view: View, _item: Object) -> Iterable[Key]:
    return [Key(namespace_of(pod), name_of(pod)) for pod in view.list(PODS) if _waits(pod)]


def _of_pod(view: View, pod: Object) -> Iterable[Key]:
    """The pod; and one that has gone makes room for those that wait."""
    known = view.get(PODS, namespace_of(pod), name_of(pod))
    return itself(view, pod) if known is not None else _waiting(view, pod)


SCHEDULER_CONTROLLER = Controller("scheduler", {PODS: _of_pod, NODES: _waiting}, reconcile)
