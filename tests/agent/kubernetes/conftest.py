"""A Kubernetes API for the agent, and the agent's way to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pellucid.agent.kubernetes.cluster_api import ClusterApi
from tests.agent.kubernetes.cluster_api_server import ClusterApiServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClusterApiServer]:
    with ClusterApiServer(tmp_path) as server:
        yield server


@pytest.fixture
async def api(server: ClusterApiServer) -> AsyncIterator[ClusterApi]:
    api = ClusterApi(server.address, server.directory)
    yield api
    await api.close()
