"""A pod that asked for a sidecar while nobody answered is told that it has none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pellucid.kube.controllers.endpoints.observed import PodObject
from pellucid.kube.injector.overlooked import LOOK_AGAIN_S, is_overlooked, tell_overlooked
from tests.kube.controllers.cluster import Cluster, running_cluster
from tests.kube.controllers.gate import gate_to
from tests.kube.injector.pods import SETTINGS, pod, settings_with

ASKS = {"connect-inject": "true"}


def test_a_pod_that_asks_and_has_none_is_overlooked() -> None:
    assert is_overlooked(pod(ASKS), SETTINGS)


@pytest.mark.parametrize(
    ("annotations", "metadata", "status"),
    [
        ({}, {}, {}),
        ({"connect-inject": "false"}, {}, {}),
        ({"connect-inject": "maybe"}, {}, {}),
        ({**ASKS, "connect-inject-status": "injected"}, {}, {}),
        (ASKS, {"namespace": "kube-system"}, {}),
        (ASKS, {"deletionTimestamp": "2021-07-08T10:00:00Z"}, {}),
        (ASKS, {}, {"phase": "Succeeded"}),
        (ASKS, {}, {"phase": "Failed"}),
    ],
)
def test_other_pods_are_not(
    annotations: dict[str, str], metadata: dict[str, Any], status: dict[str, Any]
) -> None:
    author = pod(annotations)
    author["metadata"] |= metadata
    assert not is_overlooked({**author, "status": status}, SETTINGS)


def test_a_pod_that_does_not_say_is_not_overlooked_where_injection_is_the_default() -> None:
    """There are too many of these before the mesh is installed; their authors asked for nothing."""
    assert not is_overlooked(pod(), settings_with(inject_by_default=True))


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path) as running:
        yield running


async def test_an_event_says_so_and_the_api_server_may_go_away(cluster: Cluster) -> None:
    pauses: asyncio.Queue[float] = asyncio.Queue()
    go_on = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        pauses.put_nowait(seconds)
        await go_on.acquire()

    async with gate_to(cluster.served.port) as gate:
        telling = asyncio.create_task(
            tell_overlooked(cluster.client_through(gate.port), SETTINGS, sleep=sleep)
        )
        assert await pauses.get() == LOOK_AGAIN_S
        gate.shut()
        go_on.release()
        assert await pauses.get() == LOOK_AGAIN_S
        await gate.open()
        await cluster.client.create(PodObject(**pod(ASKS)))
        go_on.release()
        (event,) = await cluster.until_events("web-1")
        assert (event.type, event.reason) == ("Warning", "NotInjected")
        assert "Delete it" in (event.message or "")
        telling.cancel()
