"""A node of a cluster in a network namespace of its own, with the API in process."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pellucid.localkube.api.store import Resources
from pellucid.localkube.images.image_table import ImageTable
from pellucid.localkube.images.registries import Registries
from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.network.links import set_up_node
from pellucid.localkube.network.pod_network import PodNetwork
from pellucid.localkube.node.kubelet import Kubelet
from pellucid.localkube.node.log_file import LogOptions
from pellucid.localkube.node.node_parts import LeftAlone, at_once
from pellucid.localkube.node.streams import KubeletStreams
from pellucid.localkube.types.kinds import CONFIG_MAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS
from pellucid.state.log import Log

Object = dict[str, Any]
_CLONE_NEWNET = 0x40000000


class Node:
    """What a test does with a node."""

    def __init__(self, resources: Resources, kubelet: Kubelet, directory: Path) -> None:
        self.resources = resources
        self.kubelet = kubelet
        self.directory = directory
        self.streams = KubeletStreams([kubelet])

    async def create(self, name: str, *containers: Object, **spec: Any) -> Object:
        spec = {"nodeName": "n", "terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}
        return await self.resources.create(PODS, "default", {"metadata": {"name": name}, "spec": spec})

    async def until(self, name: str, holds: Callable[[Object], bool]) -> Object:
        """The pod, once it is so."""
        async with asyncio.timeout(60):
            async for event in self.resources.watch(PODS, field_selector=f"metadata.name={name}"):
                if event.type != "DELETED" and holds(event.object):
                    return event.object
        raise AssertionError("the watch ended")

    async def until_phase(self, name: str, phase: str) -> Object:
        return await self.until(name, lambda pod: pod["status"].get("phase") == phase)

    async def until_gone(self, name: str) -> None:
        async with asyncio.timeout(60):
            async for event in self.resources.watch(PODS, field_selector=f"metadata.name={name}"):
                if event.type == "DELETED":
                    return

    async def log(self, pod: Object, container: str = "c", **options: Any) -> str:
        wanted = LogOptions(**options)
        return b"".join([piece async for piece in self.streams.logs(pod, container, wanted)]).decode()

    async def delete(self, name: str) -> None:
        await self.resources.delete(PODS, "default", name)


def shell(script: str, name: str = "c", **more: Any) -> Object:
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **more}


def state(pod: Object, name: str = "c") -> Object:
    """A container's state; nothing before its pod was looked at."""
    statuses = [*pod["status"].get("initContainerStatuses", ()), *pod["status"].get("containerStatuses", ())]
    return next((one["state"] for one in statuses if one["name"] == name), {})


def condition(pod: Object, kind: str) -> str:
    """A condition's status."""
    conditions = pod["status"].get("conditions", ())
    return next((one["status"] for one in conditions if one["type"] == kind), "Unknown")


def is_ready(pod: Object) -> bool:
    return condition(pod, "Ready") == "True"


def waits(reason: str) -> Callable[[Object], bool]:
    """Whether the pod's container waits for that reason."""
    return lambda pod: state(pod).get("waiting", {}).get("reason") == reason


async def api_objects() -> Resources:
    resources = Resources(Log())
    for namespace in ("default", "kube-node-lease"):
        await resources.create(NAMESPACES, "", {"metadata": {"name": namespace}})
    await resources.create(SERVICE_ACCOUNTS, "default", {"metadata": {"name": "default"}})
    await resources.create(
        CONFIG_MAPS, "default", {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "CA"}}
    )
    return resources


@asynccontextmanager
async def own_network() -> AsyncIterator[None]:
    """This thread, and every process it starts, in a network namespace of a cluster."""
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    assert libc.unshare(_CLONE_NEWNET) == 0
    try:
        await set_up_node(AddressPlan(), 1)
        yield
    finally:
        assert libc.setns(outside, _CLONE_NEWNET) == 0
        os.close(outside)


@asynccontextmanager
async def kubelet_on(
    resources: Resources,
    directory: Path,
    trusted: Mapping[str, bytes] | None = None,
    registries: Registries | None = None,
    left_alone: LeftAlone = at_once,
) -> AsyncIterator[Node]:
    async def token(pod: Object, projection: Object) -> str:
        return f"token of {pod['metadata']['name']}"

    kubelet = Kubelet(
        resources,
        "n",
        directory / "n",
        PodNetwork(AddressPlan()),
        ImageTable(directory / "images", directory / "images.json", trusted, registries),
        issue_token=token,
        left_alone=left_alone,
        cgroup=f"localkube-test-{os.getpid()}",
    )
    running = asyncio.ensure_future(kubelet.run())
    try:
        yield Node(resources, kubelet, directory)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def processes_of(directory: Path) -> str:
    """Command lines that still mention the directory."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in found.splitlines() if str(directory) in line)
