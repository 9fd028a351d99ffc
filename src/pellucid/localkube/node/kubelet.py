"""The kubelet: registers its node and runs the pods that are bound to it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.images.image_table import ImageTable
from pellucid.localkube.network.pod_network import PodNetwork
from pellucid.localkube.node.container_runtime import ContainerRuntime
from pellucid.localkube.node.event_recorder import EventRecorder
from pellucid.localkube.node.node_object import lease_object, machine_capacity, node_object, node_status
from pellucid.localkube.node.node_parts import IssueToken, LeftAlone, NodeParts, at_once
from pellucid.localkube.node.orphans import reap_orphans
from pellucid.localkube.node.pod_volumes import refers_to
from pellucid.localkube.node.pod_worker import PodWorker
from pellucid.localkube.types.kinds import CONFIG_MAPS, LEASES, NODES, PODS, SECRETS, Resource

Object = dict[str, Any]
_RENEW_S = 10.0
_log = structlog.get_logger(__name__)


class Kubelet:
    """One node. `cgroup` names the cgroup its containers are under, and must be the node's alone."""

    def __init__(
        self,
        resources: Resources,
        node_name: str,
        directory: Path,
        network: PodNetwork,
        images: ImageTable,
        *,
        issue_token: IssueToken,
        left_alone: LeftAlone = at_once,
        cgroup: str,
        version: str = "v1.30.0",
        control_plane: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._version = version
        self._control_plane = control_plane
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runtime = ContainerRuntime(directory / "runtime", cgroup, now)
        self._parts = NodeParts(
            name=node_name,
            directory=directory,
            resources=resources,
            runtime=self._runtime,
            images=images,
            network=network,
            events=EventRecorder(resources, node_name, now),
            issue_token=issue_token,
            now=now,
            capacity=machine_capacity(),
            left_alone=left_alone,
        )

    @property
    def runtime(self) -> ContainerRuntime:
        """For the streams of this node's pods."""
        return self._runtime

    def worker(self, uid: str) -> PodWorker | None:
        """The pod's worker, if the pod is on this node."""
        return self._workers.get(uid)

    async def run(self) -> None:
        """Until cancelled; then every container, namespace and cgroup of the node is gone."""
        await self._register()
        self._remove_old_directories()
        beside = [asyncio.ensure_future(self._renew())]
        beside += [asyncio.ensure_future(self._follow_sources(kind)) for kind in (CONFIG_MAPS, SECRETS)]
        try:
            async for event in self._pod_events():
                self._handle(event.type, event.object)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.shield(self._end())

    async def _pod_events(self) -> AsyncIterator[Any]:
        selector = f"spec.nodeName={self._parts.name}"
        while True:
            try:
                async for event in self._parts.resources.watch(PODS, field_selector=selector):
                    yield event
            except ApiError as problem:
                if problem.code != 410:
                    raise
            self._forget_absent()

    async def _follow_sources(self, resource: Resource) -> None:
        """Have pods brought up to date when a ConfigMap or Secret that they refer to changes."""
        while True:
            since, _ = self._parts.resources.select(resource)
            for worker in self._workers.values():
                worker.refresh()
            try:
                async for event in self._parts.resources.watch(resource, since=since):
                    self._source_changed(resource, event.object)
            except ApiError as problem:
                if problem.code != 410:
                    raise

    def _source_changed(self, resource: Resource, source: Object) -> None:
        metadata = source["metadata"]
        for worker in self._workers.values():
            in_reach = worker.pod["metadata"]["namespace"] == metadata["namespace"]
            if in_reach and refers_to(worker.pod, resource.kind, metadata["name"]):
                worker.refresh()

    def _forget_absent(self) -> None:
        selector = f"spec.nodeName={self._parts.name}"
        present = {one["metadata"]["uid"] for one in self._parts.resources.select(PODS, "", "", selector)[1]}
        for uid in self._workers.keys() - present:
            self._workers[uid].forget()

    def _handle(self, kind: str, pod: Object) -> None:
        if kind not in ("ADDED", "MODIFIED", "DELETED"):
            return
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if kind == "DELETED":
            if worker is not None:
                worker.forget()
        elif worker is not None:
            worker.update(pod)
        else:
            self._begin(uid, PodWorker(self._parts, pod))

    def _begin(self, uid: str, worker: PodWorker) -> None:
        self._workers[uid] = worker
        task = asyncio.ensure_future(worker.run())
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._worker_ended(uid, done))

    def _worker_ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        if not task.cancelled() and (problem := task.exception()) is not None:
            _log.error("pod worker failed", uid=uid, exc_info=problem)

    async def _end(self) -> None:
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._runtime.close()

    def _remove_old_directories(self) -> None:
        selector = f"spec.nodeName={self._parts.name}"
        present = {one["metadata"]["uid"] for one in self._parts.resources.select(PODS, "", "", selector)[1]}
        for directory in (self._parts.directory / "pods").glob("*"):
            if directory.name not in present:
                shutil.rmtree(directory, ignore_errors=True)

    async def _register(self) -> None:
        resources, name = self._parts.resources, self._parts.name
        if resources.peek(NODES, "", name) is None:
            wanted = node_object(name, self._parts.network, control_plane=self._control_plane)
            with contextlib.suppress(ApiError):
                await resources.create(NODES, "", wanted)
        await self._post_status()

    async def _renew(self) -> None:
        ended: frozenset[int] = frozenset()
        while True:
            ended = reap_orphans(ended)
            try:
                await self._renew_lease()
                await self._post_status()
            except ApiError as problem:
                _log.warning("node status not posted", problem=problem.message)
            await asyncio.sleep(_RENEW_S)

    async def _post_status(self) -> None:
        resources, name = self._parts.resources, self._parts.name
        old = resources.peek(NODES, "", name)
        if old is None:
            await resources.create(
                NODES, "", node_object(name, self._parts.network, control_plane=self._control_plane)
            )
            old = {}
        status = node_status(
            name,
            self._parts.network,
            self._parts.capacity,
            self._version,
            old.get("status") or {},
            self._parts.now(),
        )
        await resources.patch(NODES, "", name, {"status": status}, subresource="status")

    async def _renew_lease(self) -> None:
        resources, name = self._parts.resources, self._parts.name
        lease = lease_object(name, self._parts.now())
        if resources.peek(LEASES, "kube-node-lease", name) is None:
            await resources.create(LEASES, "kube-node-lease", lease)
        else:
            await resources.patch(LEASES, "kube-node-lease", name, {"spec": lease["spec"]})
