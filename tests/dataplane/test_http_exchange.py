"""One request and its answer, in every way in which a server may say where its answer ends."""

from __future__ import annotations

import asyncio

import pytest

from pellucid.dataplane.http_exchange import Ask, MalformedReplyError, Reply, exchange

MOST_BYTES = 1000


async def asked(answer: bytes, ask: Ask | None = None) -> tuple[Reply, bytes]:
    """The reply that is read from these bytes, and what was sent."""
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent.append(await reader.read(65536))
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        reply = await exchange(reader, writer, ask or Ask("GET", "/"), MOST_BYTES)
    return reply, sent[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ],
    ids=["length", "chunked", "until the end"],
)
async def test_an_answer_ends_where_it_says(answer: bytes) -> None:
    reply = (await asked(answer))[0]
    assert (reply.status, reply.body) == (200, b"hello")


async def test_the_request_carries_its_host_headers_and_body() -> None:
    _, sent = await asked(
        b"HTTP/1.1 204 No Content\r\n\r\n", Ask("PUT", "/v1/x?y=1", "server", {"A": "b"}, b"body")
    )
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"PUT /v1/x?y=1 HTTP/1.1"
    assert {b"Host: server", b"A: b", b"Content-Length: 4"} <= set(lines)
    assert body == b"body"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "before the answer did"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "before the answer did"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "before the answer did"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 5000, "longer than 1000"),
    ],
)
async def test_anything_else_is_told(answer: bytes, complaint: str) -> None:
    with pytest.raises(MalformedReplyError, match=complaint):
        await asked(answer)


async def test_a_header_is_found_whatever_the_case_of_its_name() -> None:
    reply, _ = await asked(b"HTTP/1.1 200 OK\r\nDATE: today\r\nContent-Length: 0\r\n\r\n")
    assert reply.headers["date"] == "today"
