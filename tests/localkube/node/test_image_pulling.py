"""Pods whose images come from a registry: pulled when wanted, and what users read when that fails."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pellucid.localkube.images.registries import Registries
from pellucid.localkube.outside.host_network import HostNetwork
from pellucid.localkube.types.kinds import EVENTS, PODS, SECRETS
from tests.localkube.images.registry import PASSWORD, USER, Registry, served, tar_of
from tests.localkube.images.shell_image import HELLO, SHELL
from tests.localkube.node.one_node import Node, api_objects, kubelet_on, own_network

pytestmark = pytest.mark.root
PORT = 5000
IMAGE = f"localhost:{PORT}/app:1"


@asynccontextmanager
async def node_and_registry(directory: Path, **registries: Any) -> AsyncIterator[tuple[Node, Registry]]:
    (directory / "images").mkdir(exist_ok=True)
    async with own_network():
        pulling = Registries(directory / "images", **registries)
        with served(Registry(), "127.0.0.1", PORT) as registry:
            async with kubelet_on(await api_objects(), directory, registries=pulling) as node:
                yield node, registry
                pulling.close()


async def create(
    node: Node, name: str, image: str = IMAGE, policy: str = "IfNotPresent", **spec: Any
) -> None:
    container = {"name": "c", "image": image, "imagePullPolicy": policy}
    await node.create(name, container, restartPolicy="Never", **spec)


async def waiting(node: Node, name: str, reason: str) -> str:
    """The message, once a pod's container waits for that reason."""
    async for event in node.resources.watch(PODS, "default", field_selector=f"metadata.name={name}"):
        for status in event.object.get("status", {}).get("containerStatuses") or ():
            found = status["state"].get("waiting") or {}
            if found.get("reason") == reason:
                return str(found.get("message", ""))
    raise AssertionError("the watch ended")


async def events_of(node: Node, name: str) -> list[tuple[str, str]]:
    found = await node.resources.list(EVENTS, "default")
    return [(one["reason"], one.get("message", "")) for one in found if one["involvedObject"]["name"] == name]


async def test_an_image_is_pulled_once_and_then_present(tmp_path: Path) -> None:
    async with node_and_registry(tmp_path) as (node, registry):
        digest = registry.add_image("app:1", SHELL, settings=HELLO)
        await create(node, "first")
        first = await node.until_phase("first", "Succeeded")
        assert (await node.log(first)).startswith("hello")
        assert first["status"]["containerStatuses"][0]["imageID"] == f"localhost:{PORT}/app@{digest}"
        asked = len(registry.asked)
        await create(node, "second")
        await node.until_phase("second", "Succeeded")
        assert len(registry.asked) == asked
        said = await events_of(node, "first")
        assert ("Pulling", f'Pulling image "{IMAGE}"') in said
        assert any(text.startswith(f'Successfully pulled image "{IMAGE}" in ') for _, text in said)
        assert ("Pulled", f'Container image "{IMAGE}" already present on machine') in await events_of(
            node, "second"
        )


async def test_pulled_always_it_is_what_the_name_leads_to_now(tmp_path: Path) -> None:
    async with node_and_registry(tmp_path) as (node, registry):
        registry.add_image("app:1", SHELL, settings=HELLO)
        await create(node, "old", policy="Always")
        await node.until_phase("old", "Succeeded")
        registry.add_image("app:1", SHELL, settings=HELLO | {"Cmd": ["echo new"]})
        await create(node, "kept")
        assert (await node.log(await node.until_phase("kept", "Succeeded"))).startswith("hello")
        await create(node, "new", policy="Always")
        assert (await node.log(await node.until_phase("new", "Succeeded"))).strip() == "new"


async def test_an_image_whose_user_has_a_name_runs_as_that_user(tmp_path: Path) -> None:
    users = tar_of({"etc/passwd": b"app:x:101:201::/:\n", "etc/group": b"log:x:300:app\n"}, mode=0o644)
    ids = "while read name values; do case $name in Uid:|Gid:|Groups:) echo $values;; esac; done"
    settings = HELLO | {"Cmd": [f"{ids} < /proc/self/status"], "User": "app"}
    async with node_and_registry(tmp_path) as (node, registry):
        registry.add_image("app:1", SHELL, users, settings=settings)
        await create(node, "p")
        said = await node.log(await node.until_phase("p", "Succeeded"))
        assert [line.split()[0] for line in said.splitlines()] == ["101", "201", "300"]
        await create(node, "unsure", securityContext={"runAsNonRoot": True})
        why = await waiting(node, "unsure", "CreateContainerConfigError")
        assert "image has non-numeric user (app), cannot verify user is non-root" in why


async def test_many_pods_at_once_pull_it_once(tmp_path: Path) -> None:
    async with node_and_registry(tmp_path) as (node, registry):
        registry.add_image("app:1", SHELL, settings=HELLO)
        registry.stalled = threading.Event()
        for name in ("a", "b", "c"):
            await create(node, name)
        registry.stalled.set()
        for name in ("a", "b", "c"):
            await node.until_phase(name, "Succeeded")
        assert sum("/manifests/" in path for path in registry.asked) == 1


async def test_what_the_registry_does_not_have_is_told_and_tried_again(tmp_path: Path) -> None:
    async with node_and_registry(tmp_path) as (node, _):
        await create(node, "p")
        said = await waiting(node, "p", "ErrImagePull")
        assert f'failed to resolve reference "{IMAGE}": {IMAGE}: not found' in said
        assert ("Failed", "Error: ErrImagePull") in await events_of(node, "p")


async def test_an_image_that_is_never_pulled_is_missed(tmp_path: Path) -> None:
    async with node_and_registry(tmp_path) as (node, registry):
        registry.add_image("app:1", SHELL, settings=HELLO)
        await create(node, "p", policy="Never")
        said = await waiting(node, "p", "ErrImageNeverPull")
        assert said == f'Container image "{IMAGE}" is not present with pull policy of Never'
        assert registry.asked == []


async def test_a_registry_that_is_out_of_reach_is_not_asked(tmp_path: Path) -> None:
    async with node_and_registry(tmp_path) as (node, _):
        await create(node, "p", image="registry.example/app:1")
        said = await waiting(node, "p", "ErrImagePull")
        assert "no way to registry.example; load it" in said


async def test_a_pods_secret_opens_a_private_registry(tmp_path: Path) -> None:
    async with node_and_registry(tmp_path) as (node, registry):
        registry.guard = "bearer"
        registry.add_image("app:1", SHELL, settings=HELLO)
        await create(node, "without")
        assert "failed to authorize" in await waiting(node, "without", "ErrImagePull")
        entries = {"auths": {f"localhost:{PORT}": {"username": USER, "password": PASSWORD}}}
        data = {".dockerconfigjson": base64.b64encode(json.dumps(entries).encode()).decode()}
        secret = {"metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson", "data": data}
        await node.resources.create(SECRETS, "default", secret)
        await create(node, "with", imagePullSecrets=[{"name": "pull"}])
        await node.until_phase("with", "Succeeded")


async def test_a_pod_can_go_while_its_image_is_on_the_way(tmp_path: Path) -> None:
    async with node_and_registry(tmp_path) as (node, registry):
        registry.add_image("app:1", SHELL, settings=HELLO)
        registry.stalled = threading.Event()
        await create(node, "p")
        await asyncio.to_thread(registry.blob_asked.wait)
        await node.delete("p")
        await gone(node, "p")
        registry.stalled.set()


async def gone(node: Node, name: str) -> None:
    async for event in node.resources.watch(PODS, "default", field_selector=f"metadata.name={name}"):
        if event.type == "DELETED":
            return


async def test_a_registry_on_the_hosts_loopback_is_found_where_the_hosts_way_is_lent(tmp_path: Path) -> None:
    network = HostNetwork(os.open("/proc/self/ns/net", os.O_RDONLY))
    with served(Registry()) as registry:
        registry.add_image("app:1", SHELL, settings=HELLO)
        port = registry.address.rpartition(":")[2]
        async with node_and_registry(tmp_path, host=network) as (node, _):
            await create(node, "p", image=f"localhost:{port}/app:1")
            await node.until_phase("p", "Succeeded")
    network.close()
