"""A cluster, a mesh server and the endpoints controller between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from lightkube import AsyncClient

from pellucid.kube.controllers.endpoints import ControllerSettings, run
from pellucid.kube.server_client import ServerAddress
from tests.api.serving import ServedAgent
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.controllers.mesh_catalog import MeshCatalog


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """An API server without a kubelet."""
    async with running_cluster(tmp_path) as running:
        yield running


@pytest.fixture
async def catalog() -> AsyncIterator[MeshCatalog]:
    """The catalog of a mesh server."""
    async with ServedAgent() as served:
        yield MeshCatalog(served)


class Controller:
    """The controller, which can be started and stopped."""

    def __init__(self, client: AsyncClient, settings: ControllerSettings) -> None:
        self._client = client
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(run(self._client, self._settings))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None


@pytest.fixture
async def controller(cluster: Cluster, catalog: MeshCatalog) -> AsyncIterator[Controller]:
    """A controller that is not started yet."""
    made = Controller(cluster.client, ControllerSettings(ServerAddress(catalog.url)))
    yield made
    await made.stop()


@pytest.fixture
async def running(controller: Controller) -> Controller:
    """A controller at work."""
    controller.start()
    return controller
