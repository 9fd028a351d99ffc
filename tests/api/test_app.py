"""What every answer has in common, whichever endpoint gives it."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from pellucid.api.context import HttpSettings
from pellucid.model.services import Service
from pellucid.state.log import Log, Record, StorageFull
from pellucid.state.mesh_tables import SERVICES
from pellucid.state.tables import Put
from tests.api.serving import NODE, ServedAgent


async def started(settings: HttpSettings) -> ServedAgent:
    agent = ServedAgent(settings)
    await agent.start()
    return agent


async def many_services(agent: ServedAgent) -> None:
    await agent.log.commit([Put(SERVICES, Service(NODE, f"web{n}", f"web{n}")) for n in range(200)])


async def test_pretty_indents_by_four_and_ends_the_line(agent: ServedAgent) -> None:
    answer = await agent.client.get("/v1/catalog/services?pretty")
    assert answer.text == '{\n    "consul": []\n}\n'
    assert (await agent.client.get("/v1/catalog/services")).text == '{"consul":[]}'


async def test_an_agent_can_be_told_to_indent_always() -> None:
    agent = await started(HttpSettings(pretty=True))
    assert (await agent.client.get("/v1/status/peers")).text == '[\n    "127.0.0.1:8300"\n]\n'
    await agent.stop()


async def test_long_answers_are_compressed_for_those_who_accept_it(agent: ServedAgent) -> None:
    await many_services(agent)
    for _ in range(2):
        async with agent.client.stream(
            "GET", "/v1/catalog/services", headers={"Accept-Encoding": "gzip"}
        ) as answer:
            raw = b"".join([piece async for piece in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
        assert len(json.loads(gzip.decompress(raw))) == 201
        plain = await agent.client.get("/v1/catalog/services", headers={"Accept-Encoding": "gzip;q=0"})
        assert "content-encoding" not in plain.headers
        assert len(plain.json()) == 201


async def test_short_answers_are_never_compressed(agent: ServedAgent) -> None:
    answer = await agent.client.get("/v1/status/leader", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_a_repeated_read_is_new_as_soon_as_its_facts_are(agent: ServedAgent) -> None:
    for number in range(3):
        await agent.log.commit([Put(SERVICES, Service(NODE, f"web{number}", "web", tags=(f"v{number}",)))])
        answer = await agent.client.get("/v1/catalog/services")
        assert answer.json()["web"] == [f"v{n}" for n in range(number + 1)]


async def test_a_repeated_read_runs_no_query_again(agent: ServedAgent) -> None:
    await many_services(agent)
    await agent.client.get("/v1/catalog/services")
    runs = agent.engine.counts.evaluated
    for _ in range(5):
        await agent.client.get("/v1/catalog/services")
    assert agent.engine.counts.evaluated == runs


async def test_an_answer_that_turns_into_an_error_and_back_is_told_each_time(agent: ServedAgent) -> None:
    target, entry = "/v1/config/mesh/mesh", {"Kind": "mesh"}
    for _ in range(2):
        assert (await agent.client.get(target)).status_code == 404
        assert (await agent.client.get(target)).status_code == 404
        await agent.client.put("/v1/config", json=entry)
        assert (await agent.client.get(target)).status_code == 200
        assert (await agent.client.get(target)).status_code == 200
        await agent.client.delete(target)


async def test_an_unparsable_query_is_an_empty_500(agent: ServedAgent) -> None:
    answer = await agent.client.get("/v1/catalog/nodes?filter=%zz")
    assert (answer.status_code, answer.text) == (500, "")


async def test_unprintable_characters_in_a_path_are_refused(agent: ServedAgent) -> None:
    assert (await agent.client.get("/v1/catalog/service/a%07b")).status_code == 400


async def test_redirects_keep_the_query(agent: ServedAgent) -> None:
    answer = await agent.client.get("/v1/health/service?dc=dc1")
    assert (answer.status_code, answer.headers["location"]) == (301, "/v1/health/service/?dc=dc1")


async def test_without_a_page_the_root_says_what_it_is() -> None:
    agent = await started(HttpSettings())
    assert (await agent.client.get("/")).text == "Consul Agent"
    await agent.stop()


async def test_configured_headers_are_on_every_answer() -> None:
    agent = await started(HttpSettings(response_headers={"X-House": "pellucid"}))
    for target in ("/v1/catalog/nodes", "/v1/config/bogus"):
        assert (await agent.client.get(target)).headers["x-house"] == "pellucid"
    await agent.stop()


async def test_blocked_endpoints_are_refused() -> None:
    agent = await started(HttpSettings(block_endpoints=("/v1/agent",)))
    answer = await agent.client.get("/v1/agent/self")
    assert (answer.status_code, answer.text) == (403, "Endpoint is blocked by agent configuration")
    assert (await agent.client.get("/v1/catalog/nodes")).status_code == 200
    await agent.stop()


async def test_writes_can_be_kept_to_networks() -> None:
    agent = await started(HttpSettings(allow_write_from=(ip_network("192.0.2.0/24"),)))
    answer = await agent.client.put("/v1/config", json={"Kind": "mesh"})
    assert (answer.status_code, answer.text) == (403, "Access is restricted")
    assert (await agent.client.get("/v1/catalog/nodes")).status_code == 200
    await agent.stop()


async def test_a_body_of_ten_megabytes_is_refused_and_the_agent_goes_on(agent: ServedAgent) -> None:
    answer = await agent.client.put("/v1/config", content=b"x" * 10_000_000)
    assert answer.status_code == 413
    assert answer.text == "Request body(10000000 bytes) too large, max size: 1048576 bytes."
    assert (await agent.client.get("/v1/status/leader")).status_code == 200


@pytest.fixture
async def unwritable() -> AsyncIterator[ServedAgent]:
    """An agent whose disk filled up after it started."""

    class Disk:
        blocking = False
        full = False

        def load(self) -> object:
            return Log().snapshot()

        def append(self, revision: int, records: Sequence[Record]) -> None:
            if self.full:
                raise StorageFull("the disk is full: free some space, then try again")

        def close(self) -> None:
            """Nothing to release."""

    agent = ServedAgent()
    disk = Disk()
    agent.log._engine = disk  # type: ignore[assignment]
    await agent.start()
    disk.full = True
    yield agent
    await agent.stop()


async def test_a_full_disk_fails_writes_clearly_and_reads_go_on(unwritable: ServedAgent) -> None:
    answer = await unwritable.client.put("/v1/config", json={"Kind": "mesh"})
    assert (answer.status_code, answer.text) == (500, "the disk is full: free some space, then try again")
    assert (await unwritable.client.get("/v1/catalog/services")).json() == {"consul": []}


async def test_a_unix_socket_serves_the_same_and_is_the_owners_only(
    agent: ServedAgent, tmp_path: Path
) -> None:
    path = tmp_path / "http.sock"
    await agent.server.listen_unix(path)
    assert path.stat().st_mode & 0o777 == 0o600
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://pellucid") as client:
        assert (await client.get("/v1/status/leader")).json() == "127.0.0.1:8300"
    await agent.server.stop(0.1)
    assert not path.exists()


async def test_a_socket_left_by_a_dead_process_is_replaced(agent: ServedAgent, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    await agent.server.listen_unix(path)
    assert path.is_socket()


async def test_ipv6_loopback_is_served_too(agent: ServedAgent) -> None:
    port = await agent.server.listen("::1", 0)
    async with httpx.AsyncClient(base_url=f"http://[::1]:{port}") as client:
        assert (await client.get("/v1/status/leader")).status_code == 200
