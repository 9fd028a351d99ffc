"""The server authority's certificate is where pods look for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from pellucid.agent.kubernetes import publishing
from pellucid.agent.kubernetes.cluster_api import ClusterApi
from pellucid.agent.kubernetes.publishing import publish
from tests.agent.kubernetes.cluster_api_server import ClusterApiServer


@contextlib.asynccontextmanager
async def published(api: ClusterApi) -> AsyncIterator[None]:
    task = asyncio.create_task(publish(api, "server-ca", "PEM"))
    yield
    task.cancel()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the server is a thread of its own
            await asyncio.sleep(0.01)


def found(server: ClusterApiServer) -> str:
    return str(server.config_maps.get("server-ca", {}).get("data", {}).get("ca.pem", ""))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "LOOK_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(publishing, "RETRY_SECONDS", 0.05)


async def test_it_is_made(server: ClusterApiServer, api: ClusterApi) -> None:
    async with published(api):
        await until(lambda: found(server) == "PEM")


async def test_it_is_put_right_when_edited_and_made_again_when_deleted(
    server: ClusterApiServer, api: ClusterApi
) -> None:
    async with published(api):
        await until(lambda: found(server) == "PEM")
        server.config_maps["server-ca"]["data"]["ca.pem"] = "forged"
        await until(lambda: found(server) == "PEM")
        del server.config_maps["server-ca"]
        await until(lambda: found(server) == "PEM")


async def test_an_api_that_is_away_is_asked_again(server: ClusterApiServer, api: ClusterApi) -> None:
    server.down = True
    async with published(api):
        await until(lambda: len(server.asked) > 2)
        server.down = False
        await until(lambda: found(server) == "PEM")
