"""One connection's worth of HTTP, spoken byte by byte to a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable

import pytest

from pellucid.api.connection import Limits, head_of
from pellucid.api.request import Request
from pellucid.api.response import Response, text_response
from pellucid.api.server import HttpServer

LIMITS = Limits(
    header_bytes=2_000, body_bytes=1_000, request_seconds=5, idle_seconds=60, connections_per_client=3
)


class Echo:
    """Answers with what it was sent; `/slow` waits to be released; `/stream` comes in pieces."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.slow_started = asyncio.Event()

    def answer(self, request: Request) -> Response | bytes | Awaitable[Response]:
        self.requests.append(request)
        if request.path == "/slow":
            return self._slowly()
        if request.path == "/stream":
            return Response(200, content_type="text/plain", stream=self._pieces())
        if request.path == "/ready":
            return b"Content-Length: 5\r\n\r\nready"
        return text_response(f"{request.method} {request.path} {request.body.decode()}")

    async def _slowly(self) -> Response:
        self.slow_started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return text_response("slow")

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, text: str | bytes) -> None:
        self.writer.write(text.encode() if isinstance(text, str) else text)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = int(head[0].split()[1])
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return status, headers, body

    async def closed(self) -> bool:
        return await self.reader.read() == b""


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def server(echo: Echo) -> AsyncIterator[HttpServer]:
    served = HttpServer(echo, LIMITS)
    served.port = await served.listen("127.0.0.1", 0)  # type: ignore[attr-defined]
    yield served
    await served.stop(0.1)


@contextlib.asynccontextmanager
async def connected(server: HttpServer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)  # type: ignore[attr-defined]
    yield Client(reader, writer)
    writer.close()


async def test_a_connection_carries_many_requests(server: HttpServer) -> None:
    async with connected(server) as client:
        for name in ("a", "b"):
            await client.send(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n")
            status, headers, body = await client.answer()
            assert (status, body) == (200, f"GET /{name} ".encode())
            assert "date" in headers


async def test_a_request_may_come_byte_by_byte(server: HttpServer) -> None:
    async with connected(server) as client:
        for byte in b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc":
            await client.send(bytes([byte]))
        assert (await client.answer())[2] == b"PUT /a abc"


async def test_a_chunked_body_is_put_together(server: HttpServer) -> None:
    async with connected(server) as client:
        await client.send("PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.send("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
        assert (await client.answer())[2] == b"PUT /a abc"


async def test_pipelined_requests_are_answered_in_order(server: HttpServer, echo: Echo) -> None:
    async with connected(server) as client:
        await client.send(
            "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in ("/slow", "/b", "/ready"))
        )
        await echo.slow_started.wait()
        assert [request.path for request in echo.requests] == ["/slow"]
        echo.release.set()
        assert [(await client.answer())[2] for _ in range(3)] == [b"slow", b"GET /b ", b"ready"]


async def test_a_client_that_wants_it_closed_gets_it_closed(server: HttpServer) -> None:
    for path in ("/a", "/ready"):
        async with connected(server) as client:
            await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            status, headers, _ = await client.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert await client.closed()


async def test_http_1_0_ends_after_one_answer(server: HttpServer) -> None:
    async with connected(server) as client:
        await client.send("GET /a HTTP/1.0\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await client.closed()


async def test_a_write_is_answered_though_the_client_closed_its_sending_half(
    server: HttpServer, echo: Echo
) -> None:
    async with connected(server) as client:
        await client.send("PUT /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        client.writer.write_eof()
        await echo.slow_started.wait()
        echo.release.set()
        assert (await client.answer())[2] == b"slow"


async def test_head_has_no_body(server: HttpServer) -> None:
    async with connected(server) as client:
        await client.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 8" in head
        assert (await client.answer())[2] == b"GET /b "


async def test_a_stream_comes_in_chunks(server: HttpServer) -> None:
    async with connected(server) as client:
        await client.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert await client.reader.readexactly(21) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_a_client_that_asks_first_is_told_to_go_on(server: HttpServer) -> None:
    async with connected(server) as client:
        await client.send("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send("z")
        assert (await client.answer())[2] == b"PUT /a z"


async def test_a_body_announced_too_large_is_refused_before_it_is_sent(
    server: HttpServer, echo: Echo
) -> None:
    async with connected(server) as client:
        await client.send(
            "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\nExpect: 100-continue\r\n\r\n"
        )
        status, headers, body = await client.answer()
        assert (status, headers["connection"]) == (413, "close")
        assert body == b"Request body(10000000 bytes) too large, max size: 1000 bytes."
        assert await client.closed()
    assert echo.requests == []


async def test_a_body_that_turns_out_too_large_is_refused(server: HttpServer, echo: Echo) -> None:
    async with connected(server) as client:
        await client.send("PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.send(b"7d0\r\n" + b"x" * 2_000 + b"\r\n")
        assert (await client.answer())[0] == 413
    assert echo.requests == []


async def test_headers_that_are_too_large_are_refused(server: HttpServer, echo: Echo) -> None:
    async with connected(server) as client:
        await client.send("GET /a HTTP/1.1\r\nHost: x\r\nX-Long: " + "x" * 3_000 + "\r\n\r\n")
        assert (await client.answer())[0] == 431
    assert echo.requests == []


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00\x01", b"GARBAGE\r\n\r\n", b"GET / SMTP/1.0\r\n\r\n"]
)
async def test_what_is_no_http_is_refused(server: HttpServer, echo: Echo, noise: bytes) -> None:
    async with connected(server) as client:
        await client.send(noise)
        assert (await client.answer())[0] == 400
        assert await client.closed()
    assert echo.requests == []


async def test_a_half_sent_request_times_out(server: HttpServer, echo: Echo) -> None:
    async with connected(server) as client:
        await client.send("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await _all_received(server, lambda c: c.receiving)
        server.connections.clock = _later(server, LIMITS.request_seconds + 1)
        server.connections.end_overdue()
        assert (await client.answer())[0] == 408
        assert await client.closed()
    assert echo.requests == []


async def test_an_idle_connection_is_closed_without_a_word(server: HttpServer) -> None:
    async with connected(server) as client:
        await _all_received(server, lambda c: True)
        server.connections.clock = _later(server, LIMITS.idle_seconds + 1)
        server.connections.end_overdue()
        assert await client.closed()


async def test_an_answer_under_way_is_never_overdue(server: HttpServer, echo: Echo) -> None:
    async with connected(server) as client:
        await client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await echo.slow_started.wait()
        server.connections.clock = _later(server, 10 * LIMITS.idle_seconds)
        server.connections.end_overdue()
        echo.release.set()
        assert (await client.answer())[2] == b"slow"


async def test_one_client_gets_so_many_connections_and_no_more(server: HttpServer) -> None:
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server)) for _ in range(3)]
        for client in clients:
            await client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.answer())[0] == 200
        too_many = await stack.enter_async_context(connected(server))
        assert (await too_many.answer())[0] == 429
        assert await too_many.closed()
        clients[0].writer.close()
        await clients[0].writer.wait_closed()
        await _until(lambda: len(server.connections.open) == 2)
        again = await stack.enter_async_context(connected(server))
        await again.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await again.answer())[0] == 200


async def test_a_client_that_goes_away_takes_its_answer_along(server: HttpServer, echo: Echo) -> None:
    async with connected(server) as client:
        await client.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await echo.slow_started.wait()
        client.writer.transport.abort()
        await echo.cancelled.wait()
    await server.connections.none_open.wait()


async def test_a_header_value_cannot_start_another_header() -> None:
    head = head_of(Response(headers=(("X-Consul-Reason", "a\r\nSet-Cookie: b"),)), keep_alive=True)
    assert b"\r\nSet-Cookie" not in head


async def _all_received(server: HttpServer, is_there) -> None:  # type: ignore[no-untyped-def]
    await _until(lambda: any(is_there(connection) for connection in server.connections.open))


async def _until(condition) -> None:  # type: ignore[no-untyped-def]
    """Give the loop turns until the condition holds."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)


def _later(server: HttpServer, seconds: float):  # type: ignore[no-untyped-def]
    now = server.connections.clock()
    return lambda: now + seconds
