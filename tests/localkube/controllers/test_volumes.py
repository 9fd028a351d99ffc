"""A volume claim gets a volume, and lets it go."""

from __future__ import annotations

from typing import Any

from pellucid.localkube.types.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from tests.localkube.controllers.cluster import VOLUMES, Object, cluster


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
