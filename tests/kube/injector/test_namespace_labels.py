"""A namespace's labels: as they are, and as they were while the API server cannot say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace
from lightkube.types import PatchType

from pellucid.kube.injector.namespace_labels import LabelsUnknown, namespace_labels
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.controllers.gate import gate_to


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        await running.client.create(Namespace(metadata=ObjectMeta(name="shop", labels={"a": "1"})))
        yield running


async def test_a_change_is_seen_at_the_next_pod(cluster: Cluster) -> None:
    labels = namespace_labels(cluster.client)
    assert (await labels("shop"))["a"] == "1"
    patch = {"metadata": {"labels": {"a": "2"}}}
    await cluster.client.patch(Namespace, "shop", patch, patch_type=PatchType.MERGE)
    assert (await labels("shop"))["a"] == "2"


async def test_an_api_server_that_is_away_or_silent_leaves_them_as_they_were(cluster: Cluster) -> None:
    async with gate_to(cluster.served.port) as gate:
        labels = namespace_labels(cluster.client_through(gate.port), within_s=0.5)
        before = await labels("shop")
        gate.fall_silent()
        assert await labels("shop") == before
        with pytest.raises(LabelsUnknown, match=r'"default" cannot be read: no answer within 0\.5 s'):
            await labels("default")
        gate.shut()
        assert await labels("shop") == before
        with pytest.raises(LabelsUnknown, match="connection refused"):
            await labels("default")


async def test_a_namespace_that_does_not_exist_is_an_error_of_the_api_server(cluster: Cluster) -> None:
    with pytest.raises(ApiError, match="not found"):
        await namespace_labels(cluster.client)("nowhere")
