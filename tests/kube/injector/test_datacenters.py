"""Upstreams of other datacenters need a mesh gateway mode, which the injector looks up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pellucid.kube.annotations import UpstreamAnnotation
from pellucid.kube.injector.datacenters import distant_upstreams, gateway_problem, mesh_problem
from pellucid.kube.server_client import ServerAddress, ServerClient
from tests.api.serving import ServedAgent
from tests.kube.injector.pods import pod

DISTANT = UpstreamAnnotation("pay", 1234, "dc2")
NEITHER = 'ProxyDefaults mesh gateway mode is neither "local" nor "remote"'
POD = pod({"connect-service-upstreams": "near:1, pay:1234:dc2"})


def test_those_that_name_a_datacenter_are_distant() -> None:
    assert distant_upstreams(POD) == (DISTANT,)
    assert distant_upstreams(pod({"connect-service-upstreams": "near:1,prepared_query:q:2"})) == ()
    assert distant_upstreams({"metadata": {}, "spec": {}}) == ()


@pytest.mark.parametrize(
    ("proxy_defaults", "problem"),
    [
        (None, "there is no ProxyDefaults config to set mesh gateway mode"),
        ({}, 'ProxyDefaults mesh gateway mode is neither "local" nor "remote"'),
        (
            {"MeshGateway": {"Mode": "none"}},
            'ProxyDefaults mesh gateway mode is neither "local" nor "remote"',
        ),
    ],
)
def test_what_the_mesh_lacks_is_said(proxy_defaults: dict[str, Any] | None, problem: str) -> None:
    assert gateway_problem(DISTANT, proxy_defaults) == f'upstream "pay:1234:dc2" is invalid: {problem}'


@pytest.mark.parametrize("mode", ["local", "remote"])
def test_a_gateway_mode_is_enough(mode: str) -> None:
    assert gateway_problem(DISTANT, {"MeshGateway": {"Mode": mode}}) == ""


@pytest.fixture
async def agent() -> AsyncIterator[ServedAgent]:
    async with ServedAgent() as served:
        yield served


@pytest.fixture
async def server(agent: ServedAgent) -> AsyncIterator[ServerClient]:
    client = ServerClient(ServerAddress(f"http://127.0.0.1:{agent.port}"))
    yield client
    await client.aclose()


async def test_the_server_is_asked(server: ServerClient) -> None:
    problem = mesh_problem(server)
    assert "there is no ProxyDefaults" in await problem(POD)
    entry = {"Kind": "proxy-defaults", "Name": "global", "MeshGateway": {"Mode": "local"}}
    await server.put("/v1/config", entry)
    assert await problem(POD) == ""


async def test_a_server_that_is_away_is_no_reason_to_refuse_a_pod() -> None:
    async def no_pause(_: float) -> None:
        await asyncio.sleep(0)

    away = ServerClient(ServerAddress("http://127.0.0.1:1"), sleep=no_pause)
    assert await mesh_problem(away)(POD) == ""
    await away.aclose()
