"""The key/value store, beyond what the recorded session shows."""

from __future__ import annotations

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model.kv import KvEntry
from pellucid.state.mesh_tables import KV, MAX_DIRECTORIES, directory_of
from tests.api.serving import ServedAgent


@given(st.text("ab/", max_size=100))
def test_a_key_is_found_by_each_of_its_prefixes(key: str) -> None:
    directories = set(KV.indexes["directory"](KvEntry(key, b"")))
    assert all(directory_of(key[:length]) in directories for length in range(len(key) + 1))
    assert key.startswith(directory_of(key))


async def test_a_missing_key_is_waited_for_as_the_walkthroughs_server_does(agent: ServedAgent) -> None:
    missing = await agent.client.get("/v1/kv/service/hello/enable_checks")
    assert (missing.status_code, missing.content) == (404, b"")
    index = missing.headers["X-Consul-Index"]
    waiting = asyncio.create_task(agent.client.get(f"/v1/kv/service/hello/enable_checks?index={index}"))
    while not agent.app.blocking:  # noqa: ASYNC110 - nobody announces a query that waits
        await asyncio.sleep(0)
    await agent.client.put("/v1/kv/service/hello/enable_checks", content=b"true")
    (found,) = (await waiting).json()
    assert base64.b64decode(found["Value"]) == b"true"


async def test_a_wait_for_a_missing_key_ends_with_its_time(agent: ServedAgent) -> None:
    answer = await agent.client.get("/v1/kv/a?index=1000000&wait=10ms")
    assert answer.status_code == 404
    assert "X-Consul-Index" in answer.headers


async def test_a_tree_is_woken_by_what_is_below_it_alone(agent: ServedAgent) -> None:
    for key in ("a/one", "b/one"):
        await agent.client.put(f"/v1/kv/{key}", content=b"1")
    before = (await agent.client.get("/v1/kv/a/?recurse")).headers["X-Consul-Index"]
    await agent.client.put("/v1/kv/b/two", content=b"1")
    assert (await agent.client.get("/v1/kv/a/?recurse")).headers["X-Consul-Index"] == before
    await agent.client.delete("/v1/kv/a/one")
    assert int((await agent.client.get("/v1/kv/a/?recurse")).headers["X-Consul-Index"]) > int(before)


async def test_the_same_value_again_raises_no_index(agent: ServedAgent) -> None:
    await agent.client.put("/v1/kv/a", content=b"1")
    before = agent.log.revision
    await agent.client.put("/v1/kv/a", content=b"1")
    assert agent.log.revision == before


async def test_a_value_is_any_bytes(agent: ServedAgent) -> None:
    await agent.client.put("/v1/kv/a?flags=18446744073709551615", content=bytes(range(256)))
    answer = await agent.client.get("/v1/kv/a?raw")
    assert answer.content == bytes(range(256))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (await agent.client.get("/v1/kv/a")).json()[0]["Flags"] == 2**64 - 1


async def test_a_value_has_its_limit(agent: ServedAgent) -> None:
    answer = await agent.client.put("/v1/kv/a", content=b"x" * 524_289)
    assert answer.status_code == 413
    assert answer.text.startswith("Request body(524289 bytes) too large, max size: 524288 bytes.")


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("a?acquire=s1", 500, 'raft apply failed: invalid session "s1"'),
        ("a?acquire=", 500, "raft apply failed: missing session"),
        ("a?release=s1", 200, "false"),
        ("a?cas=7", 200, "false"),
        ("a?cas=", 500, 'strconv.ParseUint: parsing "": invalid syntax'),
        ("a?dc=other", 500, "No path to datacenter"),
    ],
)
async def test_what_cannot_be_written_is_told(
    agent: ServedAgent, target: str, status: int, text: str
) -> None:
    answer = await agent.client.put(f"/v1/kv/{target}", content=b"x")
    assert (answer.status_code, answer.text.strip()) == (status, text)
    assert (await agent.client.get("/v1/kv/a")).status_code == 404


async def test_a_key_may_be_deep(agent: ServedAgent) -> None:
    deep = "d/" * (3 * MAX_DIRECTORIES)
    await agent.client.put(f"/v1/kv/{deep}x", content=b"1")
    await agent.client.put(f"/v1/kv/{deep}y", content=b"1")
    assert (await agent.client.get(f"/v1/kv/{deep}x?keys")).json() == [f"{deep}x"]
    await agent.client.delete(f"/v1/kv/{deep}?recurse")
    assert (await agent.client.get("/v1/kv/?keys")).json() == []
