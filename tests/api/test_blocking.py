"""Blocking queries: what wakes one, what does not, and how each of them ends. No test waits for a clock."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import httpx
import pytest

from pellucid.api.blocking import BlockingQueries
from pellucid.model.checks import CheckStatus, HealthCheck
from pellucid.model.services import Node, Service
from pellucid.state.mesh_tables import CHECKS, NODES, SERVICES
from pellucid.state.tables import Delete, Put
from tests.api.serving import NODE, ServedAgent


async def register(agent: ServedAgent, service_id: str, name: str, **fields: Any) -> None:
    await agent.log.commit([Put(SERVICES, Service(NODE, service_id, name, **fields))])


async def index_of(agent: ServedAgent, target: str) -> int:
    return int((await agent.client.get(target)).headers["x-consul-index"])


class Blocked:
    """A request that is being held; `answer` is its answer once there is one."""

    def __init__(self, agent: ServedAgent, target: str) -> None:
        self._agent, self._target = agent, target

    async def __aenter__(self) -> asyncio.Task[httpx.Response]:
        before = len(self._agent.app.blocking)
        self._answer = asyncio.create_task(self._agent.client.get(self._target))
        while len(self._agent.app.blocking) == before and not self._answer.done():  # noqa: ASYNC110
            await asyncio.sleep(0)
        return self._answer

    async def __aexit__(self, *_: object) -> None:
        self._answer.cancel()


async def settled(agent: ServedAgent) -> None:
    """Every consequence of what was committed has been drawn."""
    while not agent.engine.settled:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)


async def blocked_on(agent: ServedAgent, target: str) -> Blocked:
    separator = "&" if "?" in target else "?"
    return Blocked(agent, f"{target}{separator}index={await index_of(agent, target)}")


async def test_without_an_index_the_answer_comes_at_once(agent: ServedAgent) -> None:
    assert (await agent.client.get("/v1/catalog/services?wait=10m")).status_code == 200


async def test_an_index_that_is_already_old_is_answered_at_once(agent: ServedAgent) -> None:
    await register(agent, "web", "web")
    index = await index_of(agent, "/v1/health/service/web")
    answer = await agent.client.get(f"/v1/health/service/web?index={index - 1}&wait=10m")
    assert answer.json()[0]["Service"]["ID"] == "web"


@pytest.mark.parametrize(
    "change",
    [
        [Put(SERVICES, Service(NODE, "web2", "web"))],
        [Put(SERVICES, Service(NODE, "web", "web", port=81))],
        [Delete(SERVICES, (NODE, "web"))],
        [
            Put(
                CHECKS,
                HealthCheck(NODE, "c", status=CheckStatus.CRITICAL, service_id="web", service_name="web"),
            )
        ],
        [Put(CHECKS, HealthCheck(NODE, "node check", status=CheckStatus.CRITICAL))],
        [Put(NODES, Node(NODE, "10.9.9.9"))],
    ],
    ids=["instance added", "instance changed", "instance gone", "check", "node check", "node"],
)
async def test_a_change_of_the_service_wakes_its_watcher(agent: ServedAgent, change: list[Any]) -> None:
    await register(agent, "web", "web")
    target = "/v1/health/service/web"
    before = await index_of(agent, target)
    async with await blocked_on(agent, target) as answer:
        assert not answer.done()
        await agent.log.commit(change)
        assert int((await answer).headers["x-consul-index"]) > before


@pytest.mark.parametrize(
    "change",
    [
        [Put(SERVICES, Service(NODE, "api", "api"))],
        [Put(CHECKS, HealthCheck(NODE, "c", service_id="api", service_name="api"))],
        [Put(NODES, Node("other", "10.9.9.9"))],
        [Put(SERVICES, Service(NODE, "web", "web"))],
    ],
    ids=["another service", "another service's check", "another node", "the same again"],
)
async def test_an_unrelated_change_wakes_nobody(agent: ServedAgent, change: list[Any]) -> None:
    await register(agent, "web", "web")
    async with await blocked_on(agent, "/v1/health/service/web") as answer:
        runs = agent.engine.counts.evaluated
        await agent.log.commit(change)
        await settled(agent)
        assert not answer.done()
        assert agent.engine.counts.evaluated == runs


async def test_the_watcher_of_a_service_that_vanished_sees_the_index_rise(agent: ServedAgent) -> None:
    await register(agent, "web", "web")
    async with await blocked_on(agent, "/v1/catalog/service/web") as answer:
        await agent.log.commit([Delete(SERVICES, (NODE, "web"))])
        gone = await answer
    assert gone.json() == []
    await register(agent, "api", "api")
    assert await index_of(agent, "/v1/catalog/service/web") == int(gone.headers["x-consul-index"])


async def test_the_watcher_of_a_service_to_come_sees_it_come(agent: ServedAgent) -> None:
    async with await blocked_on(agent, "/v1/health/connect/web") as answer:
        await register(agent, "web", "web", connect_native=True)
        assert (await answer).json()[0]["Service"]["ID"] == "web"


async def test_a_hash_waits_for_another_content(agent: ServedAgent) -> None:
    await register(agent, "web", "web")
    target = "/v1/agent/service/web"
    known = (await agent.client.get(target)).headers["x-consul-contenthash"]
    assert (await agent.client.get(f"{target}?hash=")).status_code == 200
    assert (await agent.client.get(f"{target}?hash=other")).json()["ContentHash"] == known
    async with Blocked(agent, f"{target}?hash={known}") as answer:
        await register(agent, "api", "api")
        await settled(agent)
        assert not answer.done()
        await register(agent, "web", "web", port=81)
        assert (await answer).json()["Port"] == 81


async def test_time_that_is_up_is_answered_with_what_there_is(agent: ServedAgent) -> None:
    answer = await agent.client.get("/v1/catalog/services?index=999999&wait=1ms")
    assert answer.json() == {"consul": []}
    assert int(answer.headers["x-consul-index"]) < 999999


async def test_a_client_that_goes_away_leaves_nothing_behind(agent: ServedAgent) -> None:
    async with await blocked_on(agent, "/v1/catalog/nodes") as answer:
        answer.cancel()
        while len(agent.app.blocking):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_many_watchers_of_one_thing_share_one_run(agent: ServedAgent) -> None:
    limits = httpx.Limits(max_connections=200)
    await register(agent, "web", "web")
    target = f"/v1/health/service/web?index={await index_of(agent, '/v1/health/service/web')}"
    async with httpx.AsyncClient(base_url=agent.client.base_url, limits=limits, timeout=60) as client:
        answers = [asyncio.create_task(client.get(target)) for _ in range(150)]
        while len(agent.app.blocking) < 150:  # noqa: ASYNC110
            await asyncio.sleep(0)
        runs = agent.engine.counts.evaluated
        await register(agent, "web2", "web")
        bodies = {(await answer).text for answer in answers}
    assert len(bodies) == 1
    assert agent.engine.counts.evaluated - runs < 10


async def test_stopping_releases_blocked_queries_with_what_there_is(agent: ServedAgent) -> None:
    async with await blocked_on(agent, "/v1/catalog/services") as answer:
        agent.app.stop()
        stopping = asyncio.create_task(agent.server.stop(1.0))
        assert (await answer).json() == {"consul": []}
        await stopping


async def test_an_error_ends_the_wait(agent: ServedAgent) -> None:
    answer = await agent.client.get("/v1/catalog/nodes?index=999999&filter=Bogus")
    assert answer.status_code == 500


def test_waits_are_clamped_and_lengthened_by_up_to_a_sixteenth() -> None:
    class Most(Random):
        def random(self) -> float:
            return 1.0

    queries = BlockingQueries(engine=None, random=Most())  # type: ignore[arg-type]
    assert queries.wait_seconds(0) == 300 + 300 / 16
    assert queries.wait_seconds(-5) == 300 + 300 / 16
    assert queries.wait_seconds(16) == 17
    assert queries.wait_seconds(99_999) == 600 + 600 / 16
