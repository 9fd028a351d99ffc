"""Evicting a pod: a deletion that asks its disruption budget first.

Source: Kubernetes docs, "API-initiated Eviction"; pkg/registry/core/pod/storage/eviction.go, Kubernetes 1.30.
"""

from __future__ import annotations

import asyncio

from pellucid.localkube.api.admission import WriteOptions
from pellucid.localkube.api.objects import Object
from pellucid.localkube.api.selectors import selector_test
from pellucid.localkube.api.status import ApiError, conflict, not_found
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import POD_DISRUPTION_BUDGETS, PODS

ATTEMPTS = 10
RETRY_PAUSE_SECONDS = 0.01
RETRY_SECONDS = 10
_VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."


async def evict(
    resources: Resources, namespace: str, name: str, wish: Object, options: WriteOptions, now: str
) -> None:
    """Delete a pod if its budget has room for that. wish: DeleteOptions. now: RFC 3339.

    Raises ApiError 404, 409, 429 (no room now), 500 (more than one budget).
    """
    pod = resources.peek(PODS, namespace, name)
    if pod is None:
        raise not_found(PODS, name)
    if _counts(pod):
        await _take_from_budget(resources, pod, options, now)
    preconditions = wish.get("preconditions") or {}
    await resources.remove(
        PODS,
        namespace,
        name,
        propagation=wish.get("propagationPolicy") or "Background",
        grace_seconds=wish.get("gracePeriodSeconds"),
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        options=options,
    )


def _counts(pod: Object) -> bool:
    """Whether the pod's end would take anything from anybody."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in ("Succeeded", "Failed", "Pending") and "deletionTimestamp" not in pod["metadata"]


async def _take_from_budget(resources: Resources, pod: Object, options: WriteOptions, now: str) -> None:
    meta = pod["metadata"]
    for _ in range(ATTEMPTS):
        budgets = [
            one
            for one in resources.select(POD_DISRUPTION_BUDGETS, meta["namespace"])[1]
            if selector_test(one["spec"].get("selector"))(meta.get("labels") or {})
        ]
        if not budgets:
            return
        if len(budgets) > 1:
            why = (
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
                "support."
            )
            raise ApiError(500, "InternalError", why)
        budget = budgets[0]
        if not _is_ready(pod) and _spares_the_unhealthy(budget):
            return
        taken = _taken(budget, meta["name"], now)
        try:
            quiet = WriteOptions(manager=options.manager, dry_run=options.dry_run)
            await resources.update(
                POD_DISRUPTION_BUDGETS, meta["namespace"], taken, subresource="status", options=quiet
            )
        except ApiError as error:
            if error.reason != "Conflict":
                raise
            # What it conflicts with is read only once it is stored.
            await asyncio.sleep(RETRY_PAUSE_SECONDS)
            continue
        return
    raise conflict(POD_DISRUPTION_BUDGETS, meta["name"])


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _spares_the_unhealthy(budget: Object) -> bool:
    """Whether a pod that is not ready may go without asking."""
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(desired > 0 and status.get("currentHealthy", 0) >= desired)


def _taken(budget: Object, pod: str, now: str) -> Object:
    """The budget with one disruption less. Raises ApiError 429."""
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 1):
        raise _no_room(f"The disruption budget {name} is still being processed by the server.")
    if status.get("disruptionsAllowed", 0) < 1:
        desired, current = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise _no_room(
            f"The disruption budget {name} needs {desired} healthy pods and has {current} currently"
        )
    disrupted = {**(status.get("disruptedPods") or {}), pod: now}
    left = status["disruptionsAllowed"] - 1
    return {**budget, "status": {**status, "disruptionsAllowed": left, "disruptedPods": disrupted}}


def _no_room(why: str) -> ApiError:
    details = {"causes": [{"reason": "DisruptionBudget", "message": why}], "retryAfterSeconds": RETRY_SECONDS}
    return ApiError(429, "TooManyRequests", _VIOLATED, details)
