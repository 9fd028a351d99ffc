"""A cluster for controller tests: the real store and the real controllers; only the node's work is acted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pellucid.localkube.api.bootstrap import bootstrap
from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.cluster.first_objects import kubernetes_service
from pellucid.localkube.controllers.reading import is_deleting, name_of, namespace_of, spec_of, status_of
from pellucid.localkube.controllers.running import run_controllers
from pellucid.localkube.controllers.volumes import standard_storage_class
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.types.kinds import (
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
    STORAGE_CLASSES,
    Resource,
)
from pellucid.state.log import Log

Object = dict[str, Any]
AUTHORITY = "-----BEGIN CERTIFICATE-----"
VOLUMES = Path("/var/lib/volumes")
OF_THE_API = kubernetes_service(AddressPlan())
BROKEN_IMAGE = "broken"
"""Pods with this image never become ready."""
FINISHING_IMAGE = "finishing"
"""Pods with this image succeed at once."""
FAILING_IMAGE = "failing"
"""Pods with this image fail at once."""


def token_for(namespace: str, account: str, uid: str) -> str:
    """What stands for a signed token."""
    return f"token of {namespace}/{account}"


class Cluster:
    """The store, and waiting for what it is to come to."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    async def create(self, resource: Resource, item: Object, namespace: str = "default") -> Object:
        """Store an object as a client would."""
        return await self.resources.create(resource, namespace if resource.namespaced else "", item)

    async def until(
        self, resource: Resource, holds: Callable[[list[Object]], bool], namespace: str = "default"
    ) -> list[Object]:
        """Follow a resource until its objects are as wanted; the objects then."""
        place = namespace if resource.namespaced else ""
        since, present = self.resources.select(resource, place)
        if holds(list(present)):
            return list(present)
        async for _ in self.resources.watch(resource, place, since=since):
            now = await self.resources.list(resource, place)
            if holds(list(now)):
                return list(now)
        raise AssertionError("the watch ended")

    async def list(self, resource: Resource, namespace: str = "default") -> list[Object]:
        """All objects of a resource in a namespace."""
        return list(await self.resources.list(resource, namespace))


@asynccontextmanager
async def cluster(nodes: int = 1, kind: type[Resources] = Resources) -> AsyncIterator[Cluster]:
    """A running cluster with ready nodes, whose default namespace can take pods."""
    resources = kind(Log())
    await bootstrap(resources)
    await resources.create(STORAGE_CLASSES, "", standard_storage_class())
    for number in range(nodes):
        await resources.create(NODES, "", node(f"node-{number}"))
    tasks = [
        asyncio.create_task(run_controllers(resources, AUTHORITY, VOLUMES, token_for, OF_THE_API)),
        asyncio.create_task(act_as_nodes(resources)),
    ]
    try:
        running = Cluster(resources)
        await running.until(SERVICE_ACCOUNTS, bool)
        yield running
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        resources.close()


def node(name: str) -> Object:
    """A ready node."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


async def act_as_nodes(resources: Resources) -> None:
    """Do at once to each bound pod what a kubelet would have done in time."""
    addresses = (f"10.244.{high}.{low}" for high in range(256) for low in range(2, 255))
    async for event in resources.watch(PODS):
        if event.type == "DELETED":
            continue
        with suppress(ApiError):
            pod = await resources.get(PODS, namespace_of(event.object), name_of(event.object))
            if is_deleting(pod):
                await resources.delete(PODS, namespace_of(pod), name_of(pod), grace_seconds=0)
            elif spec_of(pod).get("nodeName") and not status_of(pod).get("podIP"):
                status = _status(pod, next(addresses))
                await resources.patch(
                    PODS, namespace_of(pod), name_of(pod), {"status": status}, subresource="status"
                )


def _status(pod: Object, address: str) -> Object:
    image = spec_of(pod)["containers"][0]["image"]
    phase = {FINISHING_IMAGE: "Succeeded", FAILING_IMAGE: "Failed"}.get(image, "Running")
    ready = {
        "type": "Ready",
        "status": "True" if phase == "Running" and image != BROKEN_IMAGE else "False",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }
    conditions = [*(status_of(pod).get("conditions") or ()), ready]
    return {"phase": phase, "podIP": address, "conditions": conditions}


def pod_template(image: str = "app:1", app: str = "web", **spec: Any) -> Object:
    """A template with one container."""
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": image, **spec.pop("container", {})}], **spec},
    }
