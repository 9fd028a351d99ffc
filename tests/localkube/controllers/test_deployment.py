"""A Deployment brings up its pods, replaces them step by step, and can be undone."""

from __future__ import annotations

import asyncio
from typing import Any

from pellucid.localkube.controllers.reading import condition, is_deleting
from pellucid.localkube.types.kinds import DEPLOYMENTS, EVENTS, PODS, REPLICA_SETS, SERVICE_ACCOUNTS
from tests.localkube.controllers.cluster import BROKEN_IMAGE, Cluster, Object, cluster, pod_template

REVISION = "deployment.kubernetes.io/revision"


def deployment(image: str = "app:1", replicas: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": pod_template(image),
            **spec,
        },
    }


def rolled_out(replicas: int) -> Any:
    def holds(items: list[Object]) -> bool:
        if not items:
            return False
        status = items[0]["status"]
        counts = {status.get(name) for name in ("updatedReplicas", "replicas", "availableReplicas")}
        observed: bool = status.get("observedGeneration") == items[0]["metadata"]["generation"]
        return observed and counts == {replicas}

    return holds


async def set_image(cluster: Cluster, image: str) -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    await cluster.resources.patch(DEPLOYMENTS, "default", "web", patch)


def reason(item: Object) -> str:
    """Why the rollout is where it is."""
    return str((condition(item, "Progressing") or {}).get("reason", ""))


def images(pods: list[Object]) -> list[str]:
    return [pod["spec"]["containers"][0]["image"] for pod in pods if not is_deleting(pod)]


async def test_its_pods_come_up_through_a_replica_set_that_bears_the_template_hash() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment())
        [found] = await running.until(DEPLOYMENTS, rolled_out(3))
        [replica_set] = await running.list(REPLICA_SETS)
        pods = await running.list(PODS)
        digest = replica_set["metadata"]["labels"]["pod-template-hash"]
        assert replica_set["metadata"]["name"] == f"web-{digest}"
        assert all(pod["metadata"]["name"].startswith(f"web-{digest}-") for pod in pods)
        assert found["metadata"]["annotations"][REVISION] == "1"
        assert condition(found, "Available")["reason"] == "MinimumReplicasAvailable"  # type: ignore[index]
        assert condition(found, "Progressing")["reason"] == "NewReplicaSetAvailable"  # type: ignore[index]


async def test_a_new_image_replaces_every_pod_never_leaving_fewer_than_allowed() -> None:
    async with cluster() as running:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}
        await running.create(DEPLOYMENTS, deployment(replicas=4, strategy=rolling))
        await running.until(DEPLOYMENTS, rolled_out(4))
        seen: list[Object] = []

        async def observe() -> None:
            async for event in running.resources.watch(DEPLOYMENTS):
                seen.append(event.object["status"])

        observer = asyncio.create_task(observe())
        await set_image(running, "app:2")
        await running.until(DEPLOYMENTS, rolled_out(4))
        observer.cancel()
        assert set(images(await running.list(PODS))) == {"app:2"}
        assert min(status["availableReplicas"] for status in seen) >= 3
        assert max(status["replicas"] for status in seen) <= 5


async def test_a_rollout_to_a_broken_image_stops_with_enough_old_pods_serving() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=4))
        await running.until(DEPLOYMENTS, rolled_out(4))
        await set_image(running, BROKEN_IMAGE)
        await running.until(PODS, lambda pods: images(pods).count(BROKEN_IMAGE) == 2)
        assert images(await running.list(PODS)).count("app:1") == 3


async def test_going_back_to_an_earlier_template_reuses_its_replica_set_as_the_newest_revision() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=1))
        await running.until(DEPLOYMENTS, rolled_out(1))
        [first] = await running.list(REPLICA_SETS)
        await set_image(running, "app:2")
        await running.until(DEPLOYMENTS, rolled_out(1))
        await set_image(running, "app:1")
        [found] = await running.until(DEPLOYMENTS, rolled_out(1))
        sets = {item["metadata"]["name"]: item for item in await running.list(REPLICA_SETS)}
        assert len(sets) == 2
        assert found["metadata"]["annotations"][REVISION] == "3"
        again = sets[first["metadata"]["name"]]["metadata"]["annotations"]
        assert (again[REVISION], again["deployment.kubernetes.io/revision-history"]) == ("3", "1")


async def test_recreate_lets_every_old_pod_go_before_a_new_one_comes() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=2, strategy={"type": "Recreate"}))
        await running.until(DEPLOYMENTS, rolled_out(2))
        mixed: list[set[str]] = []

        async def observe() -> None:
            async for _ in running.resources.watch(PODS):
                mixed.append({pod["spec"]["containers"][0]["image"] for pod in await running.list(PODS)})

        observer = asyncio.create_task(observe())
        await set_image(running, "app:2")
        await running.until(DEPLOYMENTS, rolled_out(2))
        observer.cancel()
        assert {"app:1", "app:2"} not in mixed
        assert {"app:2"} in mixed


async def test_a_paused_deployment_scales_but_does_not_roll_out() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=1))
        await running.until(DEPLOYMENTS, rolled_out(1))
        await running.resources.patch(DEPLOYMENTS, "default", "web", {"spec": {"paused": True}})
        await set_image(running, "app:2")
        await running.resources.patch(DEPLOYMENTS, "default", "web", {"spec": {"replicas": 3}})
        await running.until(PODS, lambda pods: len(pods) == 3)
        assert set(images(await running.list(PODS))) == {"app:1"}
        await running.resources.patch(DEPLOYMENTS, "default", "web", {"spec": {"paused": None}})
        await running.until(DEPLOYMENTS, rolled_out(3))
        assert set(images(await running.list(PODS))) == {"app:2"}


async def test_old_replica_sets_beyond_the_history_limit_go() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=1, revisionHistoryLimit=1))
        await running.until(DEPLOYMENTS, rolled_out(1))
        for image in ("app:2", "app:3", "app:4"):
            await set_image(running, image)
            await running.until(DEPLOYMENTS, rolled_out(1))
        await running.until(REPLICA_SETS, lambda sets: len(sets) == 2)


async def test_its_scaling_is_told_in_events() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=2))
        await running.until(DEPLOYMENTS, rolled_out(2))

        def told(events: list[Object]) -> bool:
            texts = [event["message"] for event in events]
            return any(text.startswith("Scaled up replica set web-") for text in texts) and (
                sum(text.startswith("Created pod: web-") for text in texts) == 2
            )

        await running.until(EVENTS, told)


async def test_deleting_it_deletes_its_replica_sets_and_pods() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=2))
        await running.until(DEPLOYMENTS, rolled_out(2))
        await running.resources.delete(DEPLOYMENTS, "default", "web")
        await running.until(PODS, lambda pods: not pods)
        await running.until(REPLICA_SETS, lambda sets: not sets)


async def test_deleting_it_in_the_foreground_keeps_it_until_its_dependents_are_gone() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=2))
        await running.until(DEPLOYMENTS, rolled_out(2))
        await running.resources.delete(DEPLOYMENTS, "default", "web", propagation="Foreground")
        await running.until(DEPLOYMENTS, lambda items: not items)
        assert await running.list(REPLICA_SETS) == []
        assert await running.list(PODS) == []


async def test_deleting_it_as_an_orphaning_leaves_its_pods_and_a_new_one_adopts_them() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(replicas=2))
        await running.until(DEPLOYMENTS, rolled_out(2))
        before = {pod["metadata"]["uid"] for pod in await running.list(PODS)}
        await running.resources.delete(DEPLOYMENTS, "default", "web", propagation="Orphan")
        await running.until(DEPLOYMENTS, lambda items: not items)
        [kept] = await running.list(REPLICA_SETS)
        assert not kept["metadata"].get("ownerReferences")
        await running.create(DEPLOYMENTS, deployment(replicas=2))
        await running.until(DEPLOYMENTS, rolled_out(2))
        assert {pod["metadata"]["uid"] for pod in await running.list(PODS)} == before


async def test_what_was_changed_while_paused_is_rolled_out_on_resuming() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment())
        await running.until(DEPLOYMENTS, rolled_out(3))
        await running.resources.patch(DEPLOYMENTS, "default", "web", {"spec": {"paused": True}})
        [paused] = await running.until(DEPLOYMENTS, lambda items: reason(items[0]) == "DeploymentPaused")
        await set_image(running, "app:2")
        generation = paused["metadata"]["generation"] + 1
        await running.until(DEPLOYMENTS, lambda items: items[0]["status"]["observedGeneration"] == generation)
        assert set(images(await running.list(PODS))) == {"app:1"}
        await running.resources.patch(DEPLOYMENTS, "default", "web", {"spec": {"paused": None}})
        await running.until(DEPLOYMENTS, rolled_out(3))
        await running.until(PODS, lambda pods: set(images(pods)) == {"app:2"})


async def test_a_rollout_that_gets_nowhere_for_too_long_says_so() -> None:
    async with cluster() as running:
        await running.create(DEPLOYMENTS, deployment(BROKEN_IMAGE, progressDeadlineSeconds=1))
        [late] = await running.until(
            DEPLOYMENTS, lambda items: reason(items[0]) == "ProgressDeadlineExceeded"
        )
        [replica_set] = await running.list(REPLICA_SETS)
        progressing = condition(late, "Progressing")
        assert progressing is not None
        assert progressing["status"] == "False"
        name = replica_set["metadata"]["name"]
        assert progressing["message"] == f'ReplicaSet "{name}" has timed out progressing.'


async def test_pods_that_may_not_be_made_are_told_of_on_the_deployment() -> None:
    async with cluster() as running:
        template = pod_template(serviceAccountName="nobody")
        await running.create(DEPLOYMENTS, deployment(template=template))
        [found] = await running.until(
            DEPLOYMENTS, lambda items: condition(items[0], "ReplicaFailure") is not None
        )
        failure = condition(found, "ReplicaFailure")
        assert failure is not None
        assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
        assert 'serviceaccount "nobody" not found' in failure["message"]
        await running.create(SERVICE_ACCOUNTS, {"metadata": {"name": "nobody"}})
        [found] = await running.until(DEPLOYMENTS, rolled_out(3))
        await running.until(DEPLOYMENTS, lambda items: condition(items[0], "ReplicaFailure") is None)
