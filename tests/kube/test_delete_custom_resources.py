"""Custom resources go before the chart does, whether or not the controller is there to let them go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition

from pellucid.kube.controllers.config_entries import ControllerSettings, run
from pellucid.kube.controllers.config_entries.decision import FINALIZER
from pellucid.kube.controllers.config_entries.kinds import BY_NAME, KINDS
from pellucid.kube.controllers.config_entries.schema import definition
from pellucid.kube.delete_custom_resources import delete_custom_resources
from pellucid.kube.server_client import ServerAddress
from tests.api.serving import ServedAgent
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.doing import doing

DEFAULTS = BY_NAME["ServiceDefaults"].resource


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        for kind in KINDS:
            await running.client.create(CustomResourceDefinition.from_dict(definition(kind)))
        metadata = {"name": "web", "namespace": "default", "finalizers": [FINALIZER]}
        await running.client.create(DEFAULTS({"metadata": metadata, "spec": {"protocol": "http"}}))
        yield running


async def left(cluster: Cluster) -> list[str]:
    return [item["metadata"]["name"] async for item in cluster.client.list(DEFAULTS, namespace="*")]


async def test_the_controller_lets_them_go_with_their_entries(cluster: Cluster) -> None:
    async with ServedAgent() as served:
        settings = ControllerSettings(ServerAddress(f"http://127.0.0.1:{served.port}"))
        async with doing(run(cluster.client, settings)):
            assert await delete_custom_resources(cluster.client, "none") == 0
    assert await left(cluster) == []


async def test_without_a_controller_they_are_released(cluster: Cluster) -> None:
    assert await delete_custom_resources(cluster.client, "none", patience_s=0) == 1
    assert await left(cluster) == []


async def test_where_there_are_none_nothing_happens(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as empty:
        assert await delete_custom_resources(empty.client, "none") == 0
