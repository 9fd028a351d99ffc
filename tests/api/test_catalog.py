"""The catalog beyond what the recorded session covers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.serving import NODE, ServedAgent

EXTERNAL = {"Node": "ext1", "Address": "10.1.1.1", "NodeMeta": {"external": "true"}}


async def put(agent: ServedAgent, what: str, body: Any) -> None:
    answer = await agent.client.put(f"/v1/catalog/{what}", json=body)
    assert (answer.status_code, answer.json()) == (200, True), answer.text


async def get(agent: ServedAgent, target: str) -> Any:
    return (await agent.client.get(target)).json()


async def test_the_catalog_cannot_take_away_what_the_agent_holds(agent: ServedAgent) -> None:
    await agent.client.put(
        "/v1/agent/service/register", json={"Name": "web", "Check": {"CheckID": "up", "TTL": "1h"}}
    )
    before = agent.log.snapshot()
    for target in (
        {},
        {"ServiceID": "web"},
        {"ServiceID": "consul"},
        {"CheckID": "up"},
        {"CheckID": "serfHealth"},
    ):
        await put(agent, "deregister", {"Node": NODE, **target})
    await put(agent, "register", {"Node": NODE, "Address": "10.6.6.6"})
    await put(
        agent, "register", {"Node": NODE, "Address": "10.6.6.6", "Service": {"Service": "web", "Port": 666}}
    )
    passing = {"Name": "up", "CheckID": "up", "Status": "passing", "ServiceID": "web"}
    await put(agent, "register", {"Node": NODE, "Address": "10.6.6.6", "Check": passing})
    assert agent.log.snapshot() is before


async def test_what_others_put_on_the_agents_node_can_be_taken_away_again(agent: ServedAgent) -> None:
    await put(agent, "register", {"Node": NODE, "SkipNodeUpdate": True, "Service": {"Service": "db"}})
    await put(agent, "deregister", {"Node": NODE})
    assert set(await get(agent, "/v1/catalog/services")) == {"consul"}


async def test_a_node_goes_with_everything_on_it(agent: ServedAgent) -> None:
    check = {"Name": "c", "ServiceID": "db", "Status": "passing"}
    await put(
        agent, "register", {**EXTERNAL, "Service": {"Service": "db"}, "Checks": [check, {"Name": "node"}]}
    )
    await put(agent, "deregister", {"Node": "ext1"})
    assert await get(agent, "/v1/catalog/node/ext1") is None
    assert await get(agent, "/v1/health/node/ext1") == []
    assert await get(agent, "/v1/health/service/db") == []


async def test_nodes_are_found_by_metadata_everywhere(agent: ServedAgent) -> None:
    check = {"Name": "c", "ServiceID": "db", "Status": "warning"}
    await put(agent, "register", {**EXTERNAL, "Service": {"Service": "db", "Tags": ["A"]}, "Check": check})
    for target, found in (
        ("catalog/nodes", 1),
        ("catalog/services", 1),
        ("catalog/service/db", 1),
        ("health/service/db", 1),
        ("health/checks/db", 1),
        ("health/state/warning", 1),
    ):
        assert len(await get(agent, f"/v1/{target}?node-meta=external:true")) == found, target
        assert len(await get(agent, f"/v1/{target}?node-meta=external:no")) == 0, target


async def test_tags_are_compared_whatever_their_case(agent: ServedAgent) -> None:
    await put(agent, "register", {**EXTERNAL, "Service": {"Service": "db", "Tags": ["Primary"]}})
    assert len(await get(agent, "/v1/health/service/db?tag=primary")) == 1
    assert await get(agent, "/v1/health/service/db?tag=primary&tag=other") == []


async def test_a_terminating_gateway_takes_connections_for_its_services(agent: ServedAgent) -> None:
    gateway = {"Kind": "terminating-gateway", "Service": "tgw", "Port": 8443}
    await put(agent, "register", {**EXTERNAL, "Service": gateway})
    assert await get(agent, "/v1/health/connect/legacy") == []
    entry = {"Kind": "terminating-gateway", "Name": "tgw", "Services": [{"Name": "legacy"}]}
    await agent.client.put("/v1/config", json=entry)
    assert [found["Service"]["ID"] for found in await get(agent, "/v1/health/connect/legacy")] == ["tgw"]


async def test_an_ingress_gateway_is_found_by_what_it_offers(agent: ServedAgent) -> None:
    await put(agent, "register", {**EXTERNAL, "Service": {"Kind": "ingress-gateway", "Service": "igw"}})
    await put(agent, "register", {**EXTERNAL, "Service": {"Service": "db"}})
    listener = {"Port": 80, "Protocol": "tcp", "Services": [{"Name": "db"}]}
    await agent.client.put(
        "/v1/config", json={"Kind": "ingress-gateway", "Name": "igw", "Listeners": [listener]}
    )
    assert [found["Service"]["ID"] for found in await get(agent, "/v1/health/ingress/db")] == ["igw"]


async def test_a_gateways_wildcard_stands_for_every_application(agent: ServedAgent) -> None:
    await put(agent, "register", {**EXTERNAL, "Service": {"Service": "db"}})
    entry = {
        "Kind": "terminating-gateway",
        "Name": "tgw",
        "Services": [{"Name": "*"}, {"Name": "api", "SNI": "s"}],
    }
    await agent.client.put("/v1/config", json=entry)
    rows = await get(agent, "/v1/catalog/gateway-services/tgw")
    assert [(row["Service"]["Name"], row.get("FromWildcard", False)) for row in rows] == [
        ("api", False),
        ("db", True),
    ]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"Node": "a", "Address": "1.1.1.1", "ID": "x"}, 500, "Bad node ID: "),
        (
            {"Node": "a", "Address": "1.1.1.1", "Service": {"Service": "s", "Address": "0.0.0.0"}},
            500,
            "Invalid service address",
        ),
        (
            {"Node": "a", "Address": "1.1.1.1", "Check": {"Name": "c", "Status": "meh"}},
            500,
            "Invalid check status",
        ),
        (
            {"Node": "a", "Address": "1.1.1.1", "Service": {"Kind": "connect-proxy", "Service": "p"}},
            500,
            "2 errors occurred",
        ),
        ({"Node": 1}, 400, "Request decode failed: json: cannot unmarshal number into Go struct field .Node"),
        (
            {"Node": "a", "Address": "1.1.1.1", "Namespace": "n"},
            400,
            'Request decode failed: json: unknown field "Namespace"',
        ),
    ],
)
async def test_a_bad_registration_is_refused_and_nothing_is_applied(
    agent: ServedAgent, body: Any, status: int, text: str
) -> None:
    before = agent.log.snapshot()
    answer = await agent.client.put("/v1/catalog/register", json=body)
    assert answer.status_code == status
    assert answer.text.startswith(text)
    assert agent.log.snapshot() is before


@pytest.mark.parametrize("prefix", ["catalog/service", "catalog/connect", "health/connect", "health/checks"])
async def test_a_name_is_needed(agent: ServedAgent, prefix: str) -> None:
    answer = await agent.client.get(f"/v1/{prefix}/")
    assert (answer.status_code, answer.text) == (400, "Missing service name")
