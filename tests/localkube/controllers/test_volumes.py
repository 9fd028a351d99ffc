"""A volume claim gets a volume, and lets it go."""

from __future__ import annotations

from typing import Any

from pellucid.localkube.types.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS
from tests.localkube.controllers.cluster import VOLUMES, Object, cluster, pod_template


def claim(**spec: Any) -> Object:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": "data"}, "spec": wanted | spec}


def bound(items: list[Object]) -> bool:
    return bool(items) and items[0]["status"].get("phase") == "Bound"


async def test_a_claim_gets_a_directory_of_its_own_and_gives_it_back_when_it_goes() -> None:
    async with cluster() as running:
        await running.create(PERSISTENT_VOLUME_CLAIMS, claim())
        [found] = await running.until(PERSISTENT_VOLUME_CLAIMS, bound)
        [volume] = await running.until(PERSISTENT_VOLUMES, bound)
        assert found["spec"]["volumeName"] == volume["metadata"]["name"]
        assert found["spec"]["storageClassName"] == "standard"
        assert volume["spec"]["hostPath"]["path"].startswith(str(VOLUMES))
        await running.resources.delete(PERSISTENT_VOLUME_CLAIMS, "default", "data")
        await running.until(PERSISTENT_VOLUMES, lambda items: not items)


async def test_a_claim_takes_a_volume_of_its_class_that_is_there_and_it_is_kept_released() -> None:
    async with cluster() as running:
        volume = {
            "metadata": {"name": "mine"},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/srv/mine"},
                "storageClassName": "manual",
                "persistentVolumeReclaimPolicy": "Retain",
            },
        }
        await running.create(PERSISTENT_VOLUMES, volume)
        await running.create(PERSISTENT_VOLUME_CLAIMS, claim(storageClassName="manual"))
        [found] = await running.until(PERSISTENT_VOLUME_CLAIMS, bound)
        assert found["spec"]["volumeName"] == "mine"
        await running.resources.delete(PERSISTENT_VOLUME_CLAIMS, "default", "data")
        await running.until(PERSISTENT_VOLUMES, lambda items: items[0]["status"]["phase"] == "Released")


async def test_a_claim_that_a_pod_uses_stays_until_the_pod_has_ended() -> None:
    async with cluster() as running:
        await running.create(PERSISTENT_VOLUME_CLAIMS, claim())
        await running.until(PERSISTENT_VOLUME_CLAIMS, lambda items: bound(items) and protected(items[0]))
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        user = {"metadata": {"name": "user"}, "spec": {**pod_template("app:1")["spec"], "volumes": volumes}}
        await running.create(PODS, user)
        await running.until(PODS, lambda items: items[0].get("status", {}).get("phase") == "Running")
        await running.resources.delete(PERSISTENT_VOLUME_CLAIMS, "default", "data")
        await running.create(PERSISTENT_VOLUME_CLAIMS, {**claim(), "metadata": {"name": "later"}})
        later = await running.until(PERSISTENT_VOLUME_CLAIMS, lambda items: bound(items[-1:]))
        assert [each["metadata"]["name"] for each in later] == ["data", "later"]
        await running.resources.delete(PODS, "default", "user")
        await running.until(PERSISTENT_VOLUME_CLAIMS, lambda items: len(items) == 1)


def protected(item: Object) -> bool:
    return "kubernetes.io/pvc-protection" in item["metadata"].get("finalizers", ())
