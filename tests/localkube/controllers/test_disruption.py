"""Budgets say how many of their pods may go, and evictions keep to that."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.localkube.api.admission import WriteOptions
from pellucid.localkube.api.eviction import evict
from pellucid.localkube.api.status import ApiError
from pellucid.localkube.types.kinds import CLUSTER_ROLES, DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS
from tests.localkube.controllers.cluster import BROKEN_IMAGE, Cluster, Object, cluster, pod_template

NOW = "2024-01-01T00:00:00Z"


def deployment(replicas: int, image: str = "app:1") -> Object:
    return {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": pod_template(image),
        },
    }


def budget(name: str = "web", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}


async def allowed(running: Cluster, count: int) -> Object:
    """The budget's status once it allows so many disruptions and counts as many as there are pods."""

    def holds(budgets: list[Object]) -> bool:
        status = budgets[0].get("status") or {} if budgets else {}
        return status.get("disruptionsAllowed") == count and status.get("expectedPods", 0) > 0

    [found] = await running.until(POD_DISRUPTION_BUDGETS, holds)
    status: Object = found["status"]
    return status


async def ready(running: Cluster, count: int) -> list[Object]:
    def holds(pods: list[Object]) -> bool:
        states = [(one.get("status") or {}).get("phase") for one in pods]
        return states == ["Running"] * count

    return await running.until(PODS, holds)


@pytest.mark.parametrize(
    ("spec", "desired"),
    [
        ({"minAvailable": 2}, 2),
        ({"minAvailable": "50%"}, 2),
        ({"maxUnavailable": 1}, 2),
        ({"maxUnavailable": "34%"}, 1),
    ],
    ids=str,
)
async def test_a_budget_is_the_difference_of_healthy_and_wanted(spec: Object, desired: int) -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(3))
        await ready(running, 3)
        await running.create(POD_DISRUPTION_BUDGETS, budget(**spec))
        status = await allowed(running, 3 - desired)
        assert (status["currentHealthy"], status["desiredHealthy"], status["expectedPods"]) == (3, desired, 3)
        [condition] = status["conditions"]
        assert (condition["type"], condition["status"]) == ("DisruptionAllowed", "True")


async def test_evictions_beyond_the_budget_are_refused_until_there_are_new_pods() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(2))
        pods = await ready(running, 2)
        await running.create(POD_DISRUPTION_BUDGETS, budget(minAvailable=1))
        await allowed(running, 1)
        first, second = (one["metadata"]["name"] for one in pods)
        await evict(running.resources, "default", first, {}, WriteOptions(), NOW)
        with pytest.raises(ApiError) as refusal:
            await evict(running.resources, "default", second, {}, WriteOptions(), NOW)
        assert (refusal.value.code, refusal.value.reason, refusal.value.message) == (
            429,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        )
        [cause] = refusal.value.details["causes"]
        assert cause["reason"] == "DisruptionBudget"
        await allowed(running, 1)
        await evict(running.resources, "default", second, {}, WriteOptions(), NOW)


async def test_a_dry_run_takes_nothing() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(2))
        [pod, _] = await ready(running, 2)
        await running.create(POD_DISRUPTION_BUDGETS, budget(minAvailable=1))
        await allowed(running, 1)
        name = pod["metadata"]["name"]
        await evict(running.resources, "default", name, {}, WriteOptions(dry_run=True), NOW)
        assert running.resources.peek(PODS, "default", name) == pod
        await allowed(running, 1)


async def test_two_budgets_for_one_pod_are_an_error() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(1))
        [pod] = await ready(running, 1)
        for name in ("a", "b"):
            await running.create(POD_DISRUPTION_BUDGETS, budget(name, minAvailable=0))
        with pytest.raises(ApiError, match="This pod has more than one PodDisruptionBudget"):
            await evict(running.resources, "default", pod["metadata"]["name"], {}, WriteOptions(), NOW)


async def test_a_pod_that_is_not_ready_goes_where_the_policy_says_so() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(1, BROKEN_IMAGE))
        [pod] = await ready(running, 1)
        await running.create(POD_DISRUPTION_BUDGETS, budget(minAvailable=1))
        await allowed(running, 0)
        name = pod["metadata"]["name"]
        with pytest.raises(ApiError, match="violate the pod's disruption budget"):
            await evict(running.resources, "default", name, {}, WriteOptions(), NOW)
        policy = {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}
        await running.resources.patch(POD_DISRUPTION_BUDGETS, "default", "web", policy)
        await evict(running.resources, "default", name, {}, WriteOptions(), NOW)


async def test_an_aggregated_role_has_the_rules_of_its_parts() -> None:
    rule = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]}
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    part = {"metadata": {"name": "widgets", "labels": labels}, "rules": [rule]}

    def view(roles: list[Object]) -> list[Object]:
        return [one for role in roles if role["metadata"]["name"] == "view" for one in role["rules"]]

    async with cluster() as running:
        await running.create(CLUSTER_ROLES, part)
        await running.until(CLUSTER_ROLES, lambda roles: rule in view(roles))
        await running.resources.delete(CLUSTER_ROLES, "", "widgets")
        roles = await running.until(CLUSTER_ROLES, lambda roles: rule not in view(roles))
        assert view(roles)
