"""The custom resource controller between a cluster and a mesh server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.types import PatchType

from pellucid.kube.controllers.config_entries import ControllerSettings, run
from pellucid.kube.controllers.config_entries.kinds import BY_NAME, KINDS
from pellucid.kube.controllers.config_entries.schema import definition
from pellucid.kube.server_client import ServerAddress
from tests.api.serving import ServedAgent
from tests.kube.controllers.cluster import PATIENCE_S, Cluster, running_cluster
from tests.kube.controllers.config_entries.test_validation import VALID
from tests.kube.controllers.gate import gate_to
from tests.kube.doing import doing

OWNED = {"external-source": "kubernetes", "consul.hashicorp.com/source-datacenter": "dc1"}
FINALIZER = "finalizers.consul.hashicorp.com"


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """An API server that knows the custom resources."""
    async with running_cluster(tmp_path) as running:
        for kind in KINDS:
            await running.client.create(CustomResourceDefinition.from_dict(definition(kind)))
        yield running


@pytest.fixture
async def agent() -> AsyncIterator[ServedAgent]:
    async with ServedAgent() as served:
        yield served


@pytest.fixture
async def resources(cluster: Cluster, agent: ServedAgent) -> AsyncIterator[Resources]:
    """Custom resources with a controller at work."""
    settings = ControllerSettings(ServerAddress(f"http://127.0.0.1:{agent.port}"))
    async with doing(run(cluster.client, settings)):
        yield Resources(cluster, agent)


class Resources:
    """Custom resources and the entries they stand for."""

    def __init__(self, cluster: Cluster, agent: ServedAgent) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.agent = agent
        self._committed = asyncio.Event()
        agent.log.listen(lambda _snapshot, _batch: self._committed.set())

    async def create(
        self, kind: str, name: str, spec: dict[str, Any], annotations: dict[str, str] | None = None
    ) -> None:
        metadata = {"name": name, "namespace": "default", "annotations": annotations or {}}
        await self.client.create(BY_NAME[kind].resource({"metadata": metadata, "spec": spec}))

    async def change(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        await self.client.patch(
            BY_NAME[kind].resource, name, {"spec": spec}, namespace="default", patch_type=PatchType.MERGE
        )

    async def delete(self, kind: str, name: str) -> None:
        await self.client.delete(BY_NAME[kind].resource, name, namespace="default")

    async def until(self, kind: str, name: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """A resource, once something is so."""
        watched = self.client.watch(BY_NAME[kind].resource, namespace="default")
        async with asyncio.timeout(PATIENCE_S), aclosing(watched):
            async for what, item in watched:
                if item["metadata"]["name"] == name and what != "DELETED" and holds(item):
                    return item
        raise AssertionError("the watch ended")

    async def until_synced(self, kind: str, name: str) -> dict[str, Any]:
        return await self.until(kind, name, lambda item: synced(item).get("status") == "True")

    async def until_gone(self, kind: str, name: str) -> None:
        listed = self.client.list(BY_NAME[kind].resource, namespace="default")
        if name not in [item["metadata"]["name"] async for item in listed]:
            return
        watched = self.client.watch(
            BY_NAME[kind].resource, namespace="default", resource_version=listed.resourceVersion
        )
        async with asyncio.timeout(PATIENCE_S), aclosing(watched):
            async for what, item in watched:
                if (what, item["metadata"]["name"]) == ("DELETED", name):
                    return

    async def until_entry(self, kind: str, name: str, **fields: object) -> None:
        """Return once an entry has these values."""
        async with asyncio.timeout(PATIENCE_S):
            while not fields.items() <= (await self.entry(kind, name) or {}).items():
                await self._committed.wait()
                self._committed.clear()

    async def entry(self, kind: str, name: str) -> dict[str, Any] | None:
        answer = await self.agent.client.get(f"/v1/config/{kind}/{name}")
        return answer.json() if answer.status_code == 200 else None

    async def write(self, entry: dict[str, Any]) -> None:
        answer = await self.agent.client.put("/v1/config", json=entry)
        assert answer.status_code == 200, answer.text

    async def forget(self, kind: str, name: str) -> None:
        answer = await self.agent.client.delete(f"/v1/config/{kind}/{name}")
        assert answer.status_code == 200, answer.text


def synced(item: dict[str, Any]) -> dict[str, Any]:
    """The Synced condition of a resource."""
    conditions = (item.get("status") or {}).get("conditions") or [{}]
    return dict(conditions[0])


@pytest.mark.parametrize(
    "kind", ["ProxyDefaults", "Mesh", "ServiceDefaults", "ServiceResolver", "TerminatingGateway"]
)
async def test_a_resource_becomes_an_entry_and_says_so(resources: Resources, kind: str) -> None:
    name = BY_NAME[kind].only_name or "web"
    await resources.create(kind, name, VALID[kind])
    item = await resources.until_synced(kind, name)
    assert item["status"]["lastSyncedTime"]
    assert FINALIZER in item["metadata"]["finalizers"]
    entry = await resources.entry(BY_NAME[kind].entry.kind, name)
    assert entry is not None
    assert entry["Meta"] == OWNED


async def test_a_changed_resource_changes_the_entry(resources: Resources) -> None:
    await resources.create("ServiceDefaults", "web", {"protocol": "http"})
    await resources.until_synced("ServiceDefaults", "web")
    await resources.change("ServiceDefaults", "web", {"protocol": "grpc"})
    await resources.until_entry("service-defaults", "web", Protocol="grpc")


async def test_a_deleted_resource_takes_its_entry_along(resources: Resources) -> None:
    await resources.create("ServiceDefaults", "web", {"protocol": "http"})
    await resources.until_synced("ServiceDefaults", "web")
    await resources.delete("ServiceDefaults", "web")
    await resources.until_gone("ServiceDefaults", "web")
    assert await resources.entry("service-defaults", "web") is None


async def test_an_entry_written_by_hand_is_neither_touched_nor_deleted(resources: Resources) -> None:
    by_hand = {"Kind": "service-defaults", "Name": "web", "Protocol": "tcp"}
    await resources.write(by_hand)
    await resources.create("ServiceDefaults", "web", {"protocol": "http"})
    item = await resources.until("ServiceDefaults", "web", lambda item: synced(item).get("status") == "False")
    assert synced(item)["reason"] == "ExternallyManagedConfigError"
    (event,) = await resources.cluster.until_events("web")
    assert (event.reason, event.involvedObject.kind) == ("ExternallyManagedConfigError", "ServiceDefaults")
    await resources.delete("ServiceDefaults", "web")
    await resources.until_gone("ServiceDefaults", "web")
    entry = await resources.entry("service-defaults", "web")
    assert entry is not None
    assert entry["Protocol"] == "tcp"


async def test_a_migration_takes_over_an_entry_that_says_the_same(resources: Resources) -> None:
    await resources.write({"Kind": "service-defaults", "Name": "web", "Protocol": "http"})
    migrate = {"consul.hashicorp.com/migrate-entry": "true"}
    await resources.create("ServiceDefaults", "web", {"protocol": "http"}, migrate)
    await resources.until_synced("ServiceDefaults", "web")
    entry = await resources.entry("service-defaults", "web")
    assert entry is not None
    assert entry["Meta"] == OWNED


async def test_what_the_server_refuses_is_told_and_tried_again(resources: Resources) -> None:
    await resources.create("ServiceSplitter", "web", {"splits": [{"weight": 100}]})
    item = await resources.until("ServiceSplitter", "web", lambda item: bool(synced(item)))
    assert synced(item)["reason"] == "ConsulAgentError"
    assert synced(item)["message"].startswith("writing config entry to consul: ")
    await resources.create("ServiceDefaults", "web", {"protocol": "http"})
    await resources.until_synced("ServiceSplitter", "web")


async def test_of_two_resources_for_one_entry_the_older_counts(resources: Resources) -> None:
    for name, action in (("a", "allow"), ("b", "deny")):
        sources = [{"name": "client", "action": action}]
        await resources.create(
            "ServiceIntentions", name, {"destination": {"name": "web"}, "sources": sources}
        )
    item = await resources.until("ServiceIntentions", "b", lambda item: bool(synced(item)))
    assert synced(item)["message"] == 'the resource "default/a" stands for the same config entry'
    await resources.delete("ServiceIntentions", "a")
    await resources.until_synced("ServiceIntentions", "b")
    entry = await resources.entry("service-intentions", "web")
    assert entry is not None
    assert entry["Sources"][0]["Action"] == "deny"


async def test_what_waits_for_a_server_that_is_away_says_so(cluster: Cluster, agent: ServedAgent) -> None:
    async with gate_to(agent.port) as gate:
        gate.shut()
        settings = ControllerSettings(ServerAddress(f"http://127.0.0.1:{gate.port}"))
        resources = Resources(cluster, agent)
        async with doing(run(cluster.client, settings)):
            for name in ("web", "api"):
                await resources.create("ServiceDefaults", name, {"protocol": "http"})
                item = await resources.until("ServiceDefaults", name, lambda item: bool(synced(item)))
                reason = "getting config entry from consul: 127.0.0.1: connection refused"
                assert synced(item)["message"] == reason
            await gate.open()
            for name in ("web", "api"):
                await resources.until_synced("ServiceDefaults", name)


async def test_what_a_server_lost_while_it_was_away_is_written_again(
    cluster: Cluster, agent: ServedAgent
) -> None:
    async with gate_to(agent.port) as gate:
        settings = ControllerSettings(ServerAddress(f"http://127.0.0.1:{gate.port}"))
        resources = Resources(cluster, agent)
        async with doing(run(cluster.client, settings)):
            # Once the second is synced, nothing is left to do for the first.
            for name in ("web", "second"):
                await resources.create("ServiceDefaults", name, {"protocol": "http"})
                await resources.until_synced("ServiceDefaults", name)
            gate.shut()
            await resources.forget("service-defaults", "web")
            await resources.create("ServiceDefaults", "api", {"protocol": "http"})
            await resources.until("ServiceDefaults", "api", lambda item: bool(synced(item)))
            await gate.open()
            await resources.until_entry("service-defaults", "web", Protocol="http")
