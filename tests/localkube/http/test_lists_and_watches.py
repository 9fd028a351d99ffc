"""Many objects and slow readers."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

import pytest

from pellucid.localkube.api import watches
from pellucid.localkube.http import connection
from pellucid.localkube.types.kinds import CONFIG_MAPS
from tests.localkube.api.cluster import config_map
from tests.localkube.http.served import Served

Object = dict[str, Any]

MANY = 5_000


async def raw(served: Served, path: str) -> Object:
    found: Object = json.loads(await served.kubectl("get", "--raw", path))
    return found


async def refused(served: Served, path: str) -> str:
    code, _, errors = await served.try_kubectl("get", "--raw", path)
    assert code == 1
    return errors


async def connected(served: Served) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context(cafile=str(served.authority))
    context.load_cert_chain(served.kubeconfig.parent / "admin.crt", served.kubeconfig.parent / "admin.key")
    return await asyncio.open_connection("127.0.0.1", served.port, ssl=context, limit=1 << 20)


async def test_kubectl_pages_through_5000_objects(served: Served) -> None:
    for number in range(MANY):
        await served.resources.create(CONFIG_MAPS, "default", config_map(f"c-{number:04}"))
    listed = await served.kubectl("get", "configmaps", "-o", "name")
    assert len(listed.split()) == MANY
    assert len((await served.kubectl("get", "configmaps", "--no-headers")).splitlines()) == MANY
    page = await raw(served, "/api/v1/namespaces/default/configmaps?limit=500")
    assert (len(page["items"]), page["metadata"]["remainingItemCount"]) == (500, MANY - 500)
    rest = f"/api/v1/namespaces/default/configmaps?continue={page['metadata']['continue']}"
    last = await raw(served, rest)
    assert len(last["items"]) == MANY - 500
    assert last["metadata"]["resourceVersion"] == page["metadata"]["resourceVersion"]


async def test_versions_that_cannot_be_listed_are_refused_as_such(served: Served) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    await served.resources.create(CONFIG_MAPS, "default", config_map("a"))
    past = served.resources.revision - 1
    exact = f"{path}?resourceVersion={past}&resourceVersionMatch=Exact"
    assert "The resourceVersion for the provided list is too old." in await refused(served, exact)
    assert "Too large resource version: 999" in await refused(served, f"{path}?resourceVersion=999")
    assert "supported values" in await refused(served, f"{path}?resourceVersionMatch=Maybe")
    assert "continue key is not valid" in await refused(served, f"{path}?continue=nonsense")


async def test_only_metadata_for_who_asks_for_no_more(served: Served) -> None:
    await served.resources.create(CONFIG_MAPS, "default", config_map("a", k="v"))
    reader, writer = await connected(served)
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    path = "/api/v1/namespaces/default/configmaps"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n".encode())
    body = json.loads((await reader.read()).split(b"\r\n\r\n", 1)[1])
    writer.close()
    assert body["kind"] == "PartialObjectMetadataList"
    [item] = body["items"]
    assert (item["kind"], item["metadata"]["name"], "data" in item) == ("PartialObjectMetadata", "a", False)


async def test_a_watcher_that_never_reads_is_cut_and_costs_nobody_else_an_event(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr(watches, "BEHIND", 100)
    await served.resources.create(CONFIG_MAPS, "default", config_map("c"))
    since = served.resources.revision
    path = f"/api/v1/namespaces/default/configmaps?watch=true&resourceVersion={since}"
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    _, deaf = await connected(served)
    deaf.transport.pause_reading()  # type: ignore[attr-defined]
    reader, listening = await connected(served)
    for writer in (deaf, listening):
        writer.write(request)
        await writer.drain()
    await reader.readuntil(b"\r\n\r\n")
    seen = 0
    for number in range(300):
        change = {"data": {"n": str(number), "much": "x" * 100_000}}
        await served.resources.patch(CONFIG_MAPS, "default", "c", change)
        await reader.readuntil(b'"type":"MODIFIED"')
        seen += 1
    assert seen == 300
    while served.server.connections > 1:  # noqa: ASYNC110 - the end of a connection is no event
        await asyncio.sleep(0.05)
    for writer in (deaf, listening):
        writer.transport.abort()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("watch=1&resourceVersion=abc", 'resourceVersion: Invalid value: "abc"'),
        ("watch=1&fieldSelector=spec.x%3D1", "field label not supported: spec.x"),
        ("labelSelector=a%3D(", "unable to parse requirement"),
        ("labelSelector=((", "unable to parse requirement"),
        ("fieldSelector=x", "invalid selector"),
        ("resourceVersion=-1", 'resourceVersion: Invalid value: "-1"'),
        ("fieldManager=x&limit=-5&timeoutSeconds=soon", ""),
    ],
)
async def test_a_query_that_cannot_be_is_refused_before_anything_is_sent(
    served: Served, query: str, said: str
) -> None:
    path = f"/api/v1/namespaces/default/configmaps?{query}"
    if not said:
        assert (await raw(served, path))["items"] == []
        return
    assert said in await refused(served, path)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 "),
        (b"GET / HTTP/2.0\r\n\r\n", b"HTTP/1.1 505 "),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"HTTP/1.1 400 "),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 400 "),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"HTTP/1.1 413 "),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 400 "),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.1 431 "),
        (b"GET /api/v1/%00%ff/%2e%2e HTTP/1.1\r\nConnection: close\r\n\r\n", b"HTTP/1.1 404 "),
        (b"GET /%zz?%=%&&;= HTTP/1.1\r\nConnection: close\r\n\r\n", b"HTTP/1.1 404 "),
    ],
    ids=lambda value: repr(value[:40]),
)
async def test_what_is_no_request_is_answered_and_the_server_goes_on(
    served: Served, sent: bytes, answer: bytes
) -> None:
    reader, writer = await connected(served)
    writer.write(sent)
    assert (await reader.read()).startswith(answer)
    writer.close()
    assert await raw(served, "/version")
