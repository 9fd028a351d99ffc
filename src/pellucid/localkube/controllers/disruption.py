"""The status of PodDisruptionBudgets: how many of their pods may be evicted now.

Source: Kubernetes docs, "Specifying a Disruption Budget for your Application"; pkg/controller/disruption.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pellucid.localkube.controllers.controller import Controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Key, Patch, Plan
from pellucid.localkube.controllers.reading import (
    Object,
    condition,
    controller_of,
    format_time,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    parse_time,
    scaled,
    selects,
    spec_of,
    status_of,
    uid_of,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import (
    DEPLOYMENTS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
)

DISRUPTION_SECONDS = 120
"""How long an eviction is counted as under way when its pod stays."""


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Count the budget's pods and write down what that leaves."""
    budget = view.get(POD_DISRUPTION_BUDGETS, key.namespace, key.name)
    if budget is None or is_deleting(budget):
        return NOTHING
    pods = [one for one in view.list(PODS, key.namespace) if _covers(budget, one)]
    leaving = _leaving(budget, pods, now)
    healthy = [one for one in pods if _is_ready(one) and not is_deleting(one) and name_of(one) not in leaving]
    expected, desired = _wanted(view, budget, pods)
    status = {
        "observedGeneration": budget["metadata"].get("generation", 1),
        "expectedPods": expected,
        "currentHealthy": len(healthy),
        "desiredHealthy": desired,
        "disruptionsAllowed": max(0, len(healthy) - desired) if expected else 0,
    }
    status["conditions"] = [_allowed_condition(budget, status["disruptionsAllowed"] > 0, now)]
    soonest = DISRUPTION_SECONDS if leaving else None
    had = dict(status_of(budget))
    disrupted = had.pop("disruptedPods", None) or {}
    if had == status and disrupted == leaving:
        return Plan((), soonest)
    gone = dict.fromkeys(set(disrupted) - set(leaving))
    patch = {"status": {**status, "disruptedPods": {**leaving, **gone} or None}}
    return Plan((Patch(POD_DISRUPTION_BUDGETS, key.namespace, key.name, patch, "status"),), soonest)


def _covers(budget: Object, pod: Object) -> bool:
    return selects(spec_of(budget).get("selector"), labels_of(pod))


def _leaving(budget: Object, pods: list[Object], now: datetime) -> dict[str, str]:
    """Evictions that have been granted and not yet come to anything."""
    there = {name_of(one) for one in pods if not is_deleting(one)}
    stated = status_of(budget).get("disruptedPods") or {}
    since = now - timedelta(seconds=DISRUPTION_SECONDS)
    recent = {name for name, when in stated.items() if (parse_time(when) or since) > since}
    return {name: when for name, when in stated.items() if name in there & recent}


def _wanted(view: View, budget: Object, pods: list[Object]) -> tuple[int, int]:
    """How many pods there should be, and how many of them healthy."""
    spec = spec_of(budget)
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if isinstance(least, int):
        return len(pods), least
    expected = _replicas(view, pods)
    if most is not None:
        return expected, max(0, expected - scaled(most, expected, up=True))
    return expected, scaled(least if least is not None else 0, expected, up=True)


def _replicas(view: View, pods: list[Object]) -> int:
    """The sum of what the pods' controllers want; a pod without one counts for itself."""
    owners: dict[str, int] = {}
    for pod in pods:
        owner = controller_of(pod)
        while owner is not None:
            found = view.found(str(owner["uid"]))
            if found is None:
                break
            above = controller_of(found[1])
            if above is None:
                owners[uid_of(found[1])] = int(spec_of(found[1]).get("replicas", 1))
                break
            owner = above
        else:
            owners[uid_of(pod)] = 1
    return sum(owners.values())


def _allowed_condition(budget: Object, allowed: bool, now: datetime) -> Object:
    before = condition(budget, "DisruptionAllowed") or {}
    told = "True" if allowed else "False"
    same = before.get("status") == told and before.get("lastTransitionTime")
    return {
        "type": "DisruptionAllowed",
        "status": told,
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "observedGeneration": budget["metadata"].get("generation", 1),
        "lastTransitionTime": before["lastTransitionTime"] if same else format_time(now),
    }


def _is_ready(pod: Object) -> bool:
    return (condition(pod, "Ready") or {}).get("status") == "True"


def _all_in_namespace(view: View, item: Object) -> Iterable[Key]:
    found = view.list(POD_DISRUPTION_BUDGETS, namespace_of(item))
    return [Key(namespace_of(one), name_of(one)) for one in found]


DISRUPTION_CONTROLLER = Controller(
    "disruption",
    {
        POD_DISRUPTION_BUDGETS: itself,
        **dict.fromkeys((PODS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS), _all_in_namespace),
    },
    reconcile,
)
