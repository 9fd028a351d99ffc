"""A client library written for Consul, used as its documentation shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import consul
import pytest

from tests.api.serving import ServedAgent


@pytest.fixture
def client(agent: ServedAgent) -> consul.Consul:
    return consul.Consul(host="127.0.0.1", port=agent.port)


async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a blocking call of the library while the server answers on this loop."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def test_a_service_is_registered_found_and_removed(client: consul.Consul) -> None:
    check = consul.Check.ttl("1h")
    assert await call(
        client.agent.service.register,
        "web",
        service_id="web1",
        port=80,
        tags=["v1"],
        address="10.0.0.1",
        check=check,
    )
    found = await call(client.agent.services)
    assert found["web1"]["Tags"] == ["v1"]
    assert await call(client.agent.check.ttl_pass, "service:web1", "fine")
    index, nodes = await call(client.health.service, "web", passing=True)
    assert int(index) > 0
    assert nodes[0]["Service"]["Port"] == 80
    assert await call(client.agent.service.maintenance, "web1", "true", reason="upgrade")
    assert (await call(client.health.service, "web", passing=True))[1] == []
    assert await call(client.agent.service.maintenance, "web1", "false")
    assert await call(client.agent.service.deregister, "web1")
    assert (await call(client.catalog.services))[1] == {"consul": []}


async def test_the_catalog_is_written_and_read(client: consul.Consul) -> None:
    service = {"service": "db", "id": "db1", "port": 5432}
    assert await call(client.catalog.register, "ext1", "10.1.1.1", service=service)
    assert [node["Node"] for node in (await call(client.catalog.nodes))[1]] == ["ext1", "n1"]
    assert (await call(client.catalog.node, "ext1"))[1]["Services"]["db1"]["Port"] == 5432
    assert await call(client.catalog.deregister, "ext1")
    assert [node["Node"] for node in (await call(client.catalog.nodes))[1]] == ["n1"]


async def test_a_watch_wakes_on_a_change(client: consul.Consul) -> None:
    index, _ = await call(client.catalog.services)
    waiting = asyncio.create_task(call(client.catalog.services, index=index, wait="5m"))
    await call(client.agent.service.register, "web")
    _, services = await waiting
    assert set(services) == {"consul", "web"}


async def test_status_and_members_are_told(client: consul.Consul) -> None:
    assert await call(client.status.leader) == "127.0.0.1:8300"
    assert await call(client.status.peers) == ["127.0.0.1:8300"]
    assert [member["Name"] for member in await call(client.agent.members)] == ["n1"]
    assert (await call(client.agent.self))["Config"]["NodeName"] == "n1"
