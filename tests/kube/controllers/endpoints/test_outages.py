"""The endpoints controller while the mesh server or the API server is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pellucid.kube.controllers.endpoints import ControllerSettings
from pellucid.kube.server_client import ServerAddress
from tests.kube.controllers.cluster import Cluster
from tests.kube.controllers.endpoints.conftest import Controller
from tests.kube.controllers.gate import gate_to
from tests.kube.controllers.mesh_catalog import MeshCatalog
from tests.mesh.mesh import Agent, eventually


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    """A real agent in a process of its own, not started yet, that keeps what it is told."""
    made = Agent("-server", f"-data-dir={tmp_path / 'data'}", "-log-level=warn")
    yield made
    made.stop()


@pytest.fixture
async def with_agent(cluster: Cluster, agent: Agent) -> AsyncIterator[Controller]:
    """A controller at work for that agent."""
    made = Controller(cluster.client, ControllerSettings(ServerAddress(f"http://{agent.address}")))
    made.start()
    yield made
    await made.stop()


async def until(holds: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(eventually, holds, what)


def instances(agent: Agent, node: str = "n1-virtual") -> set[str]:
    return {one["ID"] for one in agent.get(f"/v1/catalog/node-services/{node}")["Services"] or ()}


async def test_a_pod_waits_for_the_server_and_is_told_why_once(
    cluster: Cluster, agent: Agent, with_agent: Controller
) -> None:
    await cluster.pod("web-1", annotations={"connect-service": "web"})
    (event,) = await cluster.until_events("web-1")
    assert event.reason == "ConsulServerUnavailable"
    assert event.message == "waiting for 127.0.0.1: connection refused"
    await asyncio.to_thread(agent.start)
    waited, registered = await cluster.until_events("web-1", count=2)
    assert (waited.count, registered.reason) == (1, "Registered")
    await until(lambda: instances(agent) == {"web-1-web", "web-1-web-sidecar-proxy"}, "the pod")


async def test_what_happens_while_the_server_is_away_is_made_up_for(
    cluster: Cluster, agent: Agent, with_agent: Controller
) -> None:
    await asyncio.to_thread(agent.start)
    for name in ("web-1", "web-2"):
        await cluster.pod(name, annotations={"connect-service": "web"})
    await until(lambda: len(instances(agent)) == 4, "both pods")
    await asyncio.to_thread(agent.kill)
    await cluster.delete_pod("web-1")
    await cluster.pod("web-3", annotations={"connect-service": "web"})
    await cluster.until_events("web-3")
    await asyncio.to_thread(agent.start)
    kept = {"web-2-web", "web-2-web-sidecar-proxy", "web-3-web", "web-3-web-sidecar-proxy"}
    await until(lambda: instances(agent) == kept, f"{kept}")


async def test_a_server_that_comes_back_empty_at_once_is_filled_again(
    cluster: Cluster, catalog: MeshCatalog
) -> None:
    await cluster.pod("web-1", annotations={"connect-service": "web"})
    async with gate_to(catalog.port) as gate:
        settings = ControllerSettings(ServerAddress(f"http://127.0.0.1:{gate.port}"))
        controller = Controller(cluster.client, settings)
        controller.start()
        await catalog.until_statuses(web_1_web="critical")
        await catalog.forget("n1-virtual")
        assert catalog.services() == {}
        gate.shut()
        await gate.open()
        await catalog.until_statuses(web_1_web="critical")
        await controller.stop()


async def test_while_the_api_server_is_away_nothing_is_deregistered_and_then_all_is_made_up_for(
    cluster: Cluster, catalog: MeshCatalog
) -> None:
    async with gate_to(cluster.served.port) as gate:
        settings = ControllerSettings(ServerAddress(catalog.url))
        controller = Controller(cluster.client_through(gate.port), settings)
        controller.start()
        for name in ("web-1", "web-2"):
            await cluster.pod(name, annotations={"connect-service": "web"})
        await catalog.until_statuses(web_1_web="critical", web_2_web="critical")
        writes = len(catalog.writes)
        gate.shut()
        await cluster.delete_pod("web-1")
        await cluster.report("web-2", ready=True)
        await cluster.pod("web-3", annotations={"connect-service": "web"})
        assert len(catalog.writes) == writes
        await gate.open()
        await catalog.until_statuses(web_2_web="passing", web_3_web="critical")
        await controller.stop()


async def test_a_controller_starts_though_the_api_server_is_away(
    cluster: Cluster, catalog: MeshCatalog
) -> None:
    await cluster.pod("web-1", annotations={"connect-service": "web"})
    async with gate_to(cluster.served.port) as gate:
        gate.shut()
        settings = ControllerSettings(ServerAddress(catalog.url))
        controller = Controller(cluster.client_through(gate.port), settings)
        controller.start()
        await asyncio.sleep(0)
        await gate.open()
        await catalog.until_statuses(web_1_web="critical")
        await controller.stop()
