"""How far a Deployment's ReplicaSets may be scaled in one step.

Source: Kubernetes docs, "Deployments - Rolling Update Deployment" and "Proportional scaling".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pellucid.localkube.controllers.reading import (
    Object,
    annotations_of,
    created_at,
    name_of,
    scaled,
    spec_of,
    status_of,
)

MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"


def replicas_of(item: Object) -> int:
    """How many pods are asked for."""
    return int(spec_of(item).get("replicas", 1))


def available_of(item: Object) -> int:
    """How many of its pods are available."""
    return int(status_of(item).get("availableReplicas") or 0)


def is_recreate(deployment: Object) -> bool:
    """Whether old pods all go before new ones come."""
    return (spec_of(deployment).get("strategy") or {}).get("type") == "Recreate"


def surge_and_unavailable(deployment: Object) -> tuple[int, int]:
    """How many pods there may be above, and how many available ones below, the number asked for."""
    if is_recreate(deployment):
        return 0, replicas_of(deployment)
    rolling = (spec_of(deployment).get("strategy") or {}).get("rollingUpdate") or {}
    desired = replicas_of(deployment)
    surge = scaled(rolling.get("maxSurge", "25%"), desired, up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), desired, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, desired)


def grown(deployment: Object, new: int, total: int) -> int:
    """The replicas of the newest ReplicaSet, now `new` of `total`, after one step up (or down to desired)."""
    desired = replicas_of(deployment)
    if new >= desired or is_recreate(deployment):
        return desired
    surge, _ = surge_and_unavailable(deployment)
    return new + max(min(desired + surge - total, desired - new), 0)


def shrunk(deployment: Object, newest: Object, old: Sequence[Object]) -> dict[str, int]:
    """Replicas by name of the old ReplicaSets that may lose some now.

    Pods that are not available go first, then the oldest ReplicaSets', never leaving fewer available pods
    than asked for less maxUnavailable.
    """
    _, unavailable = surge_and_unavailable(deployment)
    minimum = replicas_of(deployment) - unavailable
    left = {name_of(item): replicas_of(item) for item in sorted(old, key=created_at)}
    before = dict(left)
    new_unavailable = replicas_of(newest) - available_of(newest)
    budget = replicas_of(newest) + sum(left.values()) - minimum - new_unavailable
    available = {name_of(item): min(available_of(item), replicas_of(item)) for item in old}
    for name in left:
        taken = max(min(budget, left[name] - available[name]), 0)
        left[name] -= taken
        budget -= taken
    spare = min(budget, available_of(newest) + sum(available.values()) - minimum)
    for name in left:
        taken = max(min(spare, left[name]), 0)
        left[name] -= taken
        spare -= taken
    return {name: count for name, count in left.items() if count != before[name]}


def needs_proportional_scaling(deployment: Object, sets: Iterable[Object]) -> bool:
    """Whether the Deployment was scaled since its ReplicaSets with pods were last sized."""
    desired = str(replicas_of(deployment))
    return any(
        replicas_of(item) > 0 and annotations_of(item).get(DESIRED_REPLICAS, desired) != desired
        for item in sets
    )


def proportional(deployment: Object, sets: Sequence[Object]) -> Mapping[str, int]:
    """Replicas by name when the Deployment's scale is spread over the ReplicaSets that have pods.

    With one such ReplicaSet it simply takes the scale. With several each gets its share of the difference,
    the largest first, what rounding leaves going to the largest.
    """
    active = [item for item in sets if replicas_of(item) > 0]
    desired = replicas_of(deployment)
    if len(active) <= 1:
        return {name_of(item): desired for item in active}
    surge, _ = surge_and_unavailable(deployment)
    total = sum(map(replicas_of, active))
    allowed = desired + surge if desired > 0 else 0
    difference = allowed - total
    by_size = sorted(active, key=lambda item: (replicas_of(item), created_at(item)), reverse=True)
    result, given = {}, 0
    for item in by_size:
        size = replicas_of(item)
        last_maximum = int(annotations_of(item).get(MAX_REPLICAS) or total)
        share = round(size * allowed / last_maximum) - size if last_maximum else 0
        rest = difference - given
        share = max(min(share, rest), 0) if difference > 0 else min(max(share, rest), 0)
        result[name_of(item)] = max(size + share, 0)
        given += share
    if by_size:
        largest = name_of(by_size[0])
        result[largest] = max(result[largest] + difference - given, 0)
    return result
