"""Config entries and intentions beyond what the recorded session covers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pellucid.state.mesh_tables import CONFIG_ENTRIES
from tests.api.serving import ServedAgent


async def write(agent: ServedAgent, entry: Any, query: str = "") -> Any:
    return await agent.client.put(f"/v1/config{query}", json=entry)


async def test_of_concurrent_writes_at_one_index_exactly_one_wins(agent: ServedAgent) -> None:
    entry = {"Kind": "service-defaults", "Name": "web"}
    answers = await asyncio.gather(
        *(write(agent, {**entry, "ExternalSNI": f"n{number}"}, "?cas=0") for number in range(10))
    )
    assert sorted(answer.json() for answer in answers) == [False] * 9 + [True]


async def test_concurrent_intentions_for_one_destination_are_all_kept(agent: ServedAgent) -> None:
    names = [f"client{number}" for number in range(20)]
    answers = await asyncio.gather(
        *(
            agent.client.put(
                f"/v1/connect/intentions/exact?source={name}&destination=web", json={"Action": "allow"}
            )
            for name in names
        )
    )
    assert all(answer.json() is True for answer in answers)
    entry = (await agent.client.get("/v1/config/service-intentions/web")).json()
    assert {source["Name"] for source in entry["Sources"]} == set(names)


async def test_what_was_read_can_be_written_back(agent: ServedAgent) -> None:
    await write(agent, {"Kind": "proxy-defaults", "Name": "global", "Config": {"protocol": "http"}})
    entry = (await agent.client.get("/v1/config/proxy-defaults/global")).json()
    assert (await write(agent, entry)).json() is True
    again = (await agent.client.get("/v1/config/proxy-defaults/global")).json()
    assert again["ModifyIndex"] > entry["ModifyIndex"]
    assert {**again, "ModifyIndex": 0} == {**entry, "ModifyIndex": 0}


async def test_every_kind_is_listed_without_a_kind(agent: ServedAgent) -> None:
    await write(agent, {"Kind": "mesh"})
    await write(agent, {"Kind": "service-defaults", "Name": "web"})
    kinds = [entry["Kind"] for entry in (await agent.client.get("/v1/config/")).json()]
    assert sorted(kinds) == ["mesh", "service-defaults"]


async def test_a_misspelt_key_is_named_and_the_right_one_suggested(agent: ServedAgent) -> None:
    answer = await write(agent, {"Kind": "service-defaults", "Name": "web", "Protocl": "http"})
    assert answer.status_code == 400
    assert 'invalid config key "Protocl"' in answer.text
    assert answer.headers["x-pellucid-advice"] == 'Protocl: did you mean "Protocol"?'


@pytest.mark.parametrize("body", ["[]", "5", '"x"', "null"])
async def test_a_body_that_is_no_object_is_refused(agent: ServedAgent, body: str) -> None:
    answer = await agent.client.put("/v1/config", content=body)
    assert answer.status_code == 400
    assert answer.text.startswith("Bad request: Request decoding failed: ")


async def test_permissions_are_kept_and_shown_and_the_answer_says_they_do_not_work_yet(
    agent: ServedAgent,
) -> None:
    await write(agent, {"Kind": "service-defaults", "Name": "web", "Protocol": "http"})
    permissions = [{"Action": "allow", "HTTP": {"PathPrefix": "/ok"}}]
    entry = {
        "Kind": "service-intentions",
        "Name": "web",
        "Sources": [{"Name": "a", "Permissions": permissions}],
    }
    exact = "/v1/connect/intentions/exact?source=b&destination=web"
    for answer in (
        await write(agent, entry),
        await agent.client.put(exact, json={"Permissions": permissions}),
    ):
        assert answer.json() is True
        assert answer.headers["x-pellucid-advice"].startswith("Permissions are stored but not enforced yet")
    for source in ("a", "b"):
        check = f"/v1/connect/intentions/check?source={source}&destination=web"
        assert (await agent.client.get(check)).json() == {"Allowed": False}


async def test_a_refused_write_leaves_everything_as_it_was(agent: ServedAgent) -> None:
    await write(agent, {"Kind": "service-defaults", "Name": "web", "Protocol": "http"})
    await write(agent, {"Kind": "service-router", "Name": "web", "Routes": []})
    before = agent.log.snapshot()
    for entry in (
        {"Kind": "service-defaults", "Name": "web", "Protocol": "tcp"},
        {"Kind": "service-splitter", "Name": "web", "Splits": [{"Weight": 99}]},
        {"Kind": "service-intentions", "Name": "web", "Sources": []},
    ):
        assert (await write(agent, entry)).status_code == 500
    assert agent.log.snapshot() is before


async def test_the_last_source_removed_takes_its_entry_along(agent: ServedAgent) -> None:
    target = "/v1/connect/intentions/exact?source=a&destination=web"
    await agent.client.put(target, json={"Action": "deny"})
    await agent.client.delete(target)
    assert agent.log.snapshot().all(CONFIG_ENTRIES) == ()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            {"ID": "x", "SourceName": "a", "DestinationName": "b", "Action": "allow"},
            "ID must be empty when creating",
        ),
        ({"DestinationName": "b", "Action": "allow"}, "1 error occurred:\n\t* SourceName must be set\n\n"),
        (
            {"SourceName": "a*", "DestinationName": "b", "Action": "maybe"},
            "2 errors occurred:\n\t* SourceName: wildcard character '*' cannot be used with partial values\n"
            "\t* Action must be set to 'allow' or 'deny'\n\n",
        ),
        ({"Bogus": 1}, 'Failed to decode request body: json: unknown field "Bogus"'),
    ],
)
async def test_a_bad_intention_is_refused_in_consuls_words(agent: ServedAgent, body: Any, text: str) -> None:
    answer = await agent.client.post("/v1/connect/intentions", json=body)
    assert answer.status_code == 500
    assert answer.text.startswith(text)
    assert agent.log.snapshot().all(CONFIG_ENTRIES) == ()


async def test_an_entry_without_ids_is_closed_to_the_api_that_gives_ids(agent: ServedAgent) -> None:
    await agent.client.put("/v1/connect/intentions/exact?source=a&destination=web", json={"Action": "deny"})
    body = {"SourceName": "b", "DestinationName": "web", "Action": "allow"}
    answer = await agent.client.post("/v1/connect/intentions", json=body)
    assert answer.status_code == 500
    assert answer.text.startswith(
        'cannot use legacy intention API to edit intentions with a destination of "web"'
    )


async def test_a_rotation_of_the_authority_keeps_the_old_root_trusted(agent: ServedAgent) -> None:
    before = (await agent.client.get("/v1/connect/ca/roots")).json()
    wanted = {"Provider": "consul", "Config": {"PrivateKeyType": "ec", "PrivateKeyBits": 384}}
    assert (await agent.client.put("/v1/connect/ca/configuration", json=wanted)).status_code == 200
    after = (await agent.client.get("/v1/connect/ca/roots")).json()
    assert len(after["Roots"]) == 2
    assert after["ActiveRootID"] != before["ActiveRootID"]
    assert before["ActiveRootID"] in {root["ID"] for root in after["Roots"]}
    assert after["TrustDomain"] == before["TrustDomain"]
