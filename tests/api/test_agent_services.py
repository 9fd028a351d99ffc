"""Registering with the agent: what is kept, what is refused, and that nothing is half applied."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pellucid.api.context import HttpSettings
from pellucid.model.checks import CheckStatus
from pellucid.rules.sidecar import SidecarPorts
from pellucid.rules.virtual import lowest_free
from pellucid.state.mesh_tables import (
    CHECK_DEFINITIONS,
    CHECKS,
    CREDENTIALS,
    SERVICES,
    VIRTUAL_ADDRESSES,
)
from pellucid.state.tables import Batch
from tests.api.serving import NODE, ServedAgent

WITH_SIDECAR = {"Name": "web", "Port": 80, "Connect": {"SidecarService": {}}}


async def register(agent: ServedAgent, definition: dict[str, Any], query: str = "") -> None:
    answer = await agent.client.put(f"/v1/agent/service/register{query}", json=definition)
    assert answer.status_code == 200, answer.text


async def services(agent: ServedAgent) -> dict[str, Any]:
    found: dict[str, Any] = (await agent.client.get("/v1/agent/services")).json()
    return found


async def test_one_registration_is_one_commit(agent: ServedAgent) -> None:
    batches: list[Batch] = []
    agent.log.listen(lambda _snapshot, batch: batches.append(batch))
    await register(agent, WITH_SIDECAR)
    touched = {change.table.name for change in batches[0].touched}
    assert touched == {"services", "checks", "check-definitions", "credentials", "virtual-addresses"}
    assert set(await services(agent)) == {"web", "web-sidecar-proxy"}


async def test_registering_the_same_again_moves_no_index(agent: ServedAgent) -> None:
    await register(agent, WITH_SIDECAR)
    await agent.settle_aliases()
    before = agent.log.revision
    await register(agent, WITH_SIDECAR)
    assert agent.log.revision == before


async def test_an_id_registered_again_replaces_its_service(agent: ServedAgent) -> None:
    await register(agent, {"ID": "a", "Name": "web", "Port": 80})
    await register(agent, {"ID": "a", "Name": "api", "Port": 81})
    assert {key: (s["Service"], s["Port"]) for key, s in (await services(agent)).items()} == {
        "a": ("api", 81)
    }
    assert (await agent.client.get("/v1/health/service/web")).json() == []


async def test_concurrent_registrations_share_no_sidecar_port_and_no_virtual_address(
    agent: ServedAgent,
) -> None:
    names = [f"web{number}" for number in range(20)]
    await asyncio.gather(*(register(agent, {**WITH_SIDECAR, "Name": name}) for name in names))
    found = await services(agent)
    assert len({found[f"{name}-sidecar-proxy"]["Port"] for name in names}) == 20
    assert len({stored.value.number for stored in agent.log.snapshot().all(VIRTUAL_ADDRESSES)}) == 20


async def test_a_mesh_service_gets_a_virtual_address_and_keeps_it(agent: ServedAgent) -> None:
    await register(agent, {"Name": "plain", "Port": 1})
    assert agent.log.snapshot().all(VIRTUAL_ADDRESSES) == ()
    await register(agent, WITH_SIDECAR)
    await agent.client.put("/v1/agent/service/deregister/web")
    await register(agent, {"Name": "native", "Connect": {"Native": True}})
    found = {
        stored.value.service: stored.value.number for stored in agent.log.snapshot().all(VIRTUAL_ADDRESSES)
    }
    assert found == {"web": lowest_free([]), "native": lowest_free([lowest_free([])])}


async def test_a_sidecar_keeps_its_port_when_its_service_is_registered_again(agent: ServedAgent) -> None:
    await register(agent, {**WITH_SIDECAR, "Name": "first"})
    await register(agent, WITH_SIDECAR)
    await agent.client.put("/v1/agent/service/deregister/first")
    await register(agent, {**WITH_SIDECAR, "Port": 81})
    assert (await services(agent))["web-sidecar-proxy"]["Port"] == 21001


async def test_a_used_up_range_of_ports_refuses_and_registers_nothing() -> None:
    agent = ServedAgent(HttpSettings(sidecar_ports=SidecarPorts(21000, 21000)))
    await agent.start()
    await register(agent, {**WITH_SIDECAR, "Name": "first"})
    await agent.settle_aliases()
    before = agent.log.revision
    answer = await agent.client.put("/v1/agent/service/register", json=WITH_SIDECAR)
    assert answer.status_code == 500
    assert answer.text == (
        "Bad request: Invalid SidecarService: "
        "no port provided for sidecar_service and none left in the configured range [21000, 21000]"
    )
    assert agent.log.revision == before
    await agent.stop()


async def test_deregistering_takes_checks_sidecar_and_credentials_along(agent: ServedAgent) -> None:
    await register(agent, {**WITH_SIDECAR, "Check": {"TTL": "1h"}})
    await agent.client.put("/v1/agent/service/maintenance/web?enable=true")
    assert (await agent.client.put("/v1/agent/service/deregister/web")).status_code == 200
    state = agent.log.snapshot()
    assert [stored.value.id for stored in state.all(SERVICES)] == ["consul"]
    assert [stored.value.check_id for stored in state.all(CHECKS)] == ["serfHealth"]
    assert state.all(CHECK_DEFINITIONS) == state.all(CREDENTIALS) == ()


async def test_checks_keep_what_they_last_said_when_registered_again(agent: ServedAgent) -> None:
    definition = {"Name": "web", "Check": {"CheckID": "up", "TTL": "1h"}}
    await register(agent, definition)
    await agent.client.put("/v1/agent/check/pass/up?note=fine")
    await register(agent, {**definition, "Tags": ["new"]})
    check = (await agent.client.get("/v1/health/checks/web")).json()[0]
    assert (check["Status"], check["Output"], check["ServiceTags"]) == ("passing", "fine", ["new"])


async def test_checks_not_named_any_more_stay_unless_they_are_to_be_replaced(agent: ServedAgent) -> None:
    await register(
        agent, {"Name": "web", "Checks": [{"CheckID": "a", "TTL": "1h"}, {"CheckID": "b", "TTL": "1h"}]}
    )
    again = {"Name": "web", "Checks": [{"CheckID": "b", "TTL": "1h"}]}
    await register(agent, again)
    assert set((await agent.client.get("/v1/agent/checks")).json()) == {"a", "b"}
    await register(agent, again, "?replace-existing-checks=true")
    assert set((await agent.client.get("/v1/agent/checks")).json()) == {"b"}


async def test_a_reported_result_reaches_the_check_runner_and_is_shortened(agent: ServedAgent) -> None:
    reported: list[tuple[str, CheckStatus, str]] = []

    class Runner:
        def reported(self, check_id: str, status: CheckStatus, output: str) -> None:
            reported.append((check_id, status, output))

    agent.context.ttl_checks = Runner()
    await register(agent, {"Name": "web", "Check": {"CheckID": "up", "TTL": "1h", "OutputMaxSize": 4}})
    await agent.client.put("/v1/agent/check/update/up", json={"Status": "warning", "Output": "so and so"})
    assert reported == [("up", CheckStatus.WARNING, "so a ... (captured 4 of 9 bytes)")]
    assert (await agent.client.get("/v1/health/state/warning")).json()[0]["Output"] == reported[0][2]


async def test_scripts_need_the_agents_leave(agent: ServedAgent) -> None:
    script = {"Args": ["/bin/true"], "Interval": "10s"}
    for target, body in (
        ("/v1/agent/service/register", {"Name": "web", "Check": script}),
        ("/v1/agent/check/register", {"Name": "script", **script}),
    ):
        answer = await agent.client.put(target, json=body)
        assert answer.status_code == 500
        assert answer.text.startswith("Scripts are disabled on this agent from remote calls")
    assert await services(agent) == {}


async def test_what_the_catalog_registered_is_not_the_agents(agent: ServedAgent) -> None:
    external = {"Node": NODE, "SkipNodeUpdate": True, "Service": {"Service": "db", "Port": 5432}}
    assert (await agent.client.put("/v1/catalog/register", json=external)).json() is True
    assert await services(agent) == {}
    assert (await agent.client.get("/v1/agent/service/db")).status_code == 404
    assert (await agent.client.put("/v1/agent/service/deregister/db")).status_code == 200
    assert (await agent.client.get("/v1/catalog/service/db")).json()[0]["ServicePort"] == 5432


async def test_settings_of_config_entries_show_in_registered_proxies(agent: ServedAgent) -> None:
    await register(agent, WITH_SIDECAR)
    before = (await agent.client.get("/v1/catalog/connect/web")).json()[0]
    await agent.client.put(
        "/v1/config", json={"Kind": "proxy-defaults", "Name": "global", "Mode": "transparent"}
    )
    shown = (await agent.client.get("/v1/agent/service/web-sidecar-proxy")).json()
    assert shown["Proxy"]["Mode"] == "transparent"
    after = (await agent.client.get("/v1/catalog/connect/web")).json()[0]
    assert after["ServiceProxy"]["Mode"] == "transparent"
    assert after["ModifyIndex"] > before["ModifyIndex"]


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        (
            [],
            "Request decode failed: json: cannot unmarshal array into Go value "
            "of type structs.ServiceDefinition",
        ),
        (
            {"Name": 5},
            "Request decode failed: json: cannot unmarshal number into Go struct field .Name of type string",
        ),
        ({"Name": "a", "Tagz": []}, 'Request decode failed: json: unknown field "Tagz"'),
        ({"Name": "a", "Port": 70000}, "Invalid service port: 70000 is not between 0 and 65535"),
        ({"Name": "a", "Weights": {"Passing": 0}}, "Invalid Weights: Passing must be greater than 0"),
    ],
)
async def test_a_bad_definition_is_refused_and_nothing_is_applied(
    agent: ServedAgent, definition: Any, text: str
) -> None:
    before = agent.log.revision
    answer = await agent.client.put("/v1/agent/service/register", json=definition)
    assert (answer.status_code, answer.text) == (400, text)
    assert agent.log.revision == before
