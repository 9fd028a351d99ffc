"""The official Python client, unmodified."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pellucid.localkube.types.kinds import CONFIG_MAPS
from tests.localkube.api.cluster import config_map, deployment
from tests.localkube.http.served import Served

client: Any = pytest.importorskip("kubernetes.client")
config: Any = pytest.importorskip("kubernetes.config")
watch: Any = pytest.importorskip("kubernetes.watch")


async def test_it_makes_reads_patches_and_deletes(served: Served) -> None:
    def drive() -> None:
        apps = client.AppsV1Api(config.new_client_from_config(str(served.kubeconfig)))
        made = apps.create_namespaced_deployment("default", deployment("d"))
        assert made.metadata.uid
        patched = apps.patch_namespaced_deployment("d", "default", {"spec": {"replicas": 4}})
        assert patched.spec.replicas == 4
        assert [one.metadata.name for one in apps.list_namespaced_deployment("default").items] == ["d"]
        apps.delete_namespaced_deployment("d", "default")
        with pytest.raises(client.ApiException) as refusal:
            apps.read_namespaced_deployment("d", "default")
        assert refusal.value.status == 404

    await asyncio.to_thread(drive)


async def test_its_watch_sees_every_change_in_order(served: Served) -> None:
    watching = asyncio.Event()
    loop = asyncio.get_running_loop()

    def drive() -> list[tuple[str, str]]:
        core = client.CoreV1Api(config.new_client_from_config(str(served.kubeconfig)))
        seen: list[tuple[str, str]] = []
        for event in watch.Watch().stream(core.list_namespaced_config_map, "default"):
            seen.append((event["type"], event["object"].metadata.name))
            loop.call_soon_threadsafe(watching.set)
            if len(seen) == 5:
                return seen
        return seen

    await served.resources.create(CONFIG_MAPS, "default", config_map("first"))
    driving = asyncio.ensure_future(asyncio.to_thread(drive))
    await watching.wait()
    for name in ("a", "b"):
        await served.resources.create(CONFIG_MAPS, "default", config_map(name))
    await served.resources.patch(CONFIG_MAPS, "default", "a", {"data": {"k": "v"}})
    await served.resources.delete(CONFIG_MAPS, "default", "b")
    assert await driving == [
        ("ADDED", "first"),
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "b"),
    ]
