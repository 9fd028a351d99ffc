"""What the agent says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pellucid.api.context import HttpSettings
from pellucid.api.handlers.agent_node import LOG_LEVELS
from tests.api.serving import NODE, NODE_ID, ServedAgent


async def test_self_has_what_clients_look_for(agent: ServedAgent) -> None:
    said = (await agent.client.get("/v1/agent/self")).json()
    assert said["Config"] == {
        "Datacenter": "dc1",
        "PrimaryDatacenter": "dc1",
        "NodeName": NODE,
        "NodeID": NODE_ID,
        "Revision": "",
        "Server": True,
        "Version": "1.10.0",
    }
    assert said["DebugConfig"]["GRPCPort"] == said["xDS"]["Port"] == 8502
    assert said["xDS"]["SupportedProxies"]["envoy"]
    assert said["Member"]["Tags"]["role"] == "consul"
    assert set(said["Stats"]) == {"agent", "build", "consul", "raft", "runtime", "serf_lan", "serf_wan"}
    assert all(isinstance(value, str) for part in said["Stats"].values() for value in part.values())


async def test_figures_count_what_is_registered(agent: ServedAgent) -> None:
    await agent.client.put("/v1/agent/service/register", json={"Name": "web", "Check": {"TTL": "1h"}})
    said = (await agent.client.get("/v1/agent/self")).json()["Stats"]["agent"]
    assert said == {
        "check_monitors": "0",
        "check_ttls": "1",
        "checks": "1",
        "critical_checks": "1",
        "services": "1",
    }


async def test_secrets_of_the_configuration_stay_as_the_agent_hid_them() -> None:
    agent = ServedAgent(HttpSettings(debug_configuration={"EncryptKey": "hidden"}))
    await agent.start()
    assert (await agent.client.get("/v1/agent/self")).json()["DebugConfig"]["EncryptKey"] == "hidden"
    await agent.stop()


async def test_the_machine_is_described(agent: ServedAgent) -> None:
    said = (await agent.client.get("/v1/agent/host")).json()
    assert said["Memory"]["total"] > 0
    assert said["Host"]["os"] == "linux"


async def test_a_segment_that_does_not_exist_has_no_members(agent: ServedAgent) -> None:
    assert (await agent.client.get("/v1/agent/members?segment=other")).json() == []
    answer = await agent.client.get("/v1/agent/members?wan=1&segment=other")
    assert (answer.status_code, answer.text) == (400, "Cannot provide a segment with wan=true")


async def test_leaving_and_reloading_are_handed_to_the_agent(agent: ServedAgent) -> None:
    done: list[str] = []

    async def leave() -> None:
        done.append("leave")

    async def reload() -> None:
        done.append("reload")

    agent.context.leave, agent.context.reload = leave, reload
    for what in ("reload", "leave"):
        assert (await agent.client.put(f"/v1/agent/{what}")).status_code == 200
    assert done == ["reload", "leave"]


async def test_metrics_come_as_json_and_for_prometheus() -> None:
    agent = ServedAgent(HttpSettings(prometheus_enabled=True))
    await agent.start()
    assert set((await agent.client.get("/v1/agent/metrics")).json()) >= {"Gauges", "Counters", "Samples"}
    for query, headers in (("?format=prometheus", {}), ("", {"Accept": "application/openmetrics-text"})):
        answer = await agent.client.get(f"/v1/agent/metrics{query}", headers=headers)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    await agent.stop()


async def test_the_log_is_streamed_as_it_is_written(agent: ServedAgent) -> None:
    asked: list[tuple[str, bool]] = []
    more = asyncio.Event()

    async def lines(level: str, as_json: bool) -> AsyncIterator[bytes]:
        asked.append((level, as_json))
        yield b"first\n"
        await more.wait()
        yield b"second\n"

    agent.context.log_lines = lines
    async with agent.client.stream("GET", "/v1/agent/monitor?loglevel=debug&logjson") as answer:
        received = answer.aiter_lines()
        assert await anext(received) == "first"
        more.set()
        assert await anext(received) == "second"
    assert asked == [("DEBUG", True)]
    assert "DEBUG" in LOG_LEVELS


async def test_node_maintenance_needs_its_switch(agent: ServedAgent) -> None:
    answer = await agent.client.put("/v1/agent/maintenance")
    assert (answer.status_code, answer.text) == (400, "Missing value for enable")
    await agent.client.put("/v1/agent/maintenance?enable=true&reason=upgrade")
    check = (await agent.client.get("/v1/health/node/n1")).json()[0]
    assert (check["CheckID"], check["Status"], check["Notes"]) == ("_node_maintenance", "critical", "upgrade")
    await agent.client.put("/v1/agent/maintenance?enable=false")
    assert len((await agent.client.get("/v1/health/node/n1")).json()) == 1
