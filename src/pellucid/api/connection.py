"""HTTP/1.1 on one connection: bytes to requests, answers to bytes, and the limits between.

`httptools` parses. An answer that is ready at once is written in the same call that read the
request, which is what makes cached reads cheap; others run as a task that dies with the connection.
Pipelined requests are answered in order. (uvicorn's protocol was measured first: it has no limit on
headers, bodies, request time or connections per client, and its per-request task and header checks
cost more than the whole of a cached read.)

Source: RFC 9110, RFC 9112; Consul 1.10 docs, "Agent Configuration - limits".
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast

import httptools

from pellucid.api.request import Peer, Request
from pellucid.api.response import Response, text_response

logger = logging.getLogger(__name__)

LINGER_SECONDS = 2.0
"""How long a refused client may go on sending before it is cut off."""

MAX_PIPELINED = 16
"""Requests of one connection that may wait for their turn before reading pauses."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the server."""

    connections_per_client: int = 200
    header_bytes: int = 65_536
    body_bytes: int = 1_048_576
    request_seconds: float = 10.0
    """From the first byte of a request to its last."""
    idle_seconds: float = 600.0
    """How long a connection may stay open between requests."""


class Application(Protocol):
    """What answers requests. An awaitable answer may be cancelled when the client goes away."""

    def answer(self, request: Request) -> Response | bytes | Awaitable[Response]:
        """The answer, now or later. `bytes` are a 200 from the line after `Date` on."""


class Connections:
    """The open connections of a server, and what they share."""

    def __init__(self, application: Application, limits: Limits, clock: Callable[[], float]) -> None:
        self.application = application
        self.limits = limits
        self.clock = clock
        self.date = b""
        """The `Date` header line, renewed every second by the server."""
        self.open: set[Connection] = set()
        self.none_open = asyncio.Event()
        self.none_open.set()
        self._per_client: dict[str, int] = {}

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False if its client has too many."""
        self.open.add(connection)
        self.none_open.clear()
        address = connection.peer.address
        if address is None:
            return True
        count = self._per_client.get(address, 0) + 1
        self._per_client[address] = count
        return count <= self.limits.connections_per_client

    def discharge(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.open.discard(connection)
        if not self.open:
            self.none_open.set()
        address = connection.peer.address
        if address is None:
            return
        count = self._per_client.pop(address, 1) - 1
        if count > 0:
            self._per_client[address] = count

    def end_overdue(self) -> None:
        """End every connection that took too long over its request or was idle too long."""
        now = self.clock()
        for connection in tuple(self.open):
            connection.end_if_overdue(now)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, connections: Connections) -> None:
        self._all = connections
        self._limits = connections.limits
        self._parser = httptools.HttpRequestParser(self)
        self.peer = Peer()
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._task_only_reads = False
        self._since = 0.0
        self.receiving = False
        self._refused = False
        self._writable: asyncio.Event | None = None
        self._last = False
        self._begin()

    # The transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer_name = transport.get_extra_info("peername")
        encrypted = transport.get_extra_info("ssl_object") is not None
        self.peer = Peer(peer_name[0], encrypted) if isinstance(peer_name, tuple) else Peer()
        self._since = self._all.clock()
        if not self._all.admit(self):
            self._refuse(
                429, "Your IP is issuing too many concurrent connections, please rate limit your calls\n"
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.discharge(self)
        self._transport = None
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        if self._writable is not None:
            self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last = True
        except httptools.HttpParserError as error:
            if not self._refused:
                logger.info("malformed request: %s", error)
                self._refuse(400, "400 Bad Request")

    def eof_received(self) -> bool:
        """The client sends no more, and most likely is gone: give up reads, finish what changes something."""
        self._last = True
        return self._task is not None and not self._task_only_reads

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        if self._transport is not None:
            self._transport.resume_reading()

    # The parser calls

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._header_size = 0
        self._body: list[bytes] = []
        self._body_size = 0

    def on_message_begin(self) -> None:
        self._begin()
        self.receiving = True
        self._since = self._all.clock()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value))
        key = name.decode("latin-1").lower()
        text = value.decode("utf-8", "replace")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def _count_header(self, size: int) -> None:
        self._header_size += size
        if self._header_size > self._limits.header_bytes and not self._refused:
            self._refuse(431, "431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        if self._refused:
            return
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.body_bytes:
            self._refuse_body(int(length))
        elif self._headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._body_size += len(body)
        if self._body_size > self._limits.body_bytes:
            self._refuse_body(self._body_size)
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.receiving = False
        if self._refused:
            return
        keep_alive = self._parser.should_keep_alive()
        try:
            request = self._request()
        except httptools.HttpParserError:
            self._refuse(400, "400 Bad Request")
            return
        if self._task is not None:
            self._waiting.append((request, keep_alive))
            if len(self._waiting) >= MAX_PIPELINED and self._transport is not None:
                self._transport.pause_reading()
            return
        self._answer(request, keep_alive)

    def _request(self) -> Request:
        url = httptools.parse_url(self._url)
        return Request(
            method=self._parser.get_method().decode("ascii"),
            raw_path=(url.path or b"/").decode("latin-1"),
            raw_query=(url.query or b"").decode("latin-1"),
            headers=self._headers,
            body=b"".join(self._body),
            peer=self.peer,
        )

    # Answering

    def _answer(self, request: Request, keep_alive: bool) -> None:
        answer = self._all.application.answer(request)
        if isinstance(answer, bytes):
            closing = b"" if keep_alive else b"Connection: close\r\n"
            self._write(b"".join((b"HTTP/1.1 200 OK\r\n", self._all.date, closing, answer)))
            self._finish(keep_alive)
        elif isinstance(answer, Response) and answer.stream is None:
            self._write(self._message(request, answer, keep_alive))
            self._finish(keep_alive and not answer.close)
        else:
            self._task_only_reads = request.method == "GET"
            self._task = asyncio.get_running_loop().create_task(
                self._answer_later(request, answer, keep_alive)
            )

    async def _answer_later(
        self, request: Request, answer: Response | Awaitable[Response], keep_alive: bool
    ) -> None:
        response = answer if isinstance(answer, Response) else await answer
        keep_alive = keep_alive and not response.close
        self._write(self._message(request, response, keep_alive))
        if response.stream is not None:
            async for piece in response.stream:
                self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
                if self._writable is not None:
                    await self._writable.wait()
            self._write(b"0\r\n\r\n")
        self._task = None
        self._finish(keep_alive)

    def _finish(self, keep_alive: bool) -> None:
        """The answer is written: take the next request, or end."""
        self._since = self._all.clock()
        if self._transport is None:
            return
        if not keep_alive or (self._last and not self._waiting):
            self._transport.close()
        elif self._waiting:
            self._transport.resume_reading()
            self._answer(*self._waiting.popleft())

    def _message(self, request: Request, response: Response, keep_alive: bool) -> bytes:
        body = b"" if request.method == "HEAD" else response.body
        return b"".join((_status_line(response.status), self._all.date, head_of(response, keep_alive), body))

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    # Ending

    def _refuse_body(self, size: int) -> None:
        limit = self._limits.body_bytes
        self._refuse(413, f"Request body({size} bytes) too large, max size: {limit} bytes.")

    def _refuse(self, status: int, text: str) -> None:
        """Answer without a handler and end the connection.

        What the client still sends is read and dropped for a moment: closing at once would make its
        kernel throw the answer away.
        """
        self._refused = True
        self._since = self._all.clock()
        response = text_response(text, status)
        self._write(b"".join((_status_line(status), self._all.date, head_of(response, False), response.body)))
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
        elif self._transport is not None:
            self._transport.close()

    def end_if_overdue(self, now: float) -> None:
        """End the connection if its request does not get complete, or none comes."""
        if self._task is not None or self._transport is None:
            return
        waited = now - self._since
        if self._refused:
            if waited > LINGER_SECONDS:
                self._transport.abort()
        elif self.receiving:
            if waited > self._limits.request_seconds:
                self._refuse(408, "408 Request Timeout")
        elif waited > self._limits.idle_seconds:
            self._transport.close()

    def end_when_answered(self) -> None:
        """Take no further request; end as soon as there is nothing left to answer."""
        self._last = True
        self._waiting.clear()
        if self._task is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End now, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


def head_of(response: Response, keep_alive: bool) -> bytes:
    """The header lines after `Date`, with the blank line that ends them."""
    lines = [f"{name}: {_one_line(value)}\r\n" for name, value in response.headers]
    if response.content_type:
        lines.append(f"Content-Type: {response.content_type}\r\n")
    if response.stream is not None:
        lines.append("Transfer-Encoding: chunked\r\n")
    else:
        lines.append(f"Content-Length: {len(response.body)}\r\n")
    lines.append("\r\n" if keep_alive else "Connection: close\r\n\r\n")
    return "".join(lines).encode("utf-8", "replace")


def _one_line(value: str) -> str:
    """Header values can carry what a client sent; a line break in one would start another header."""
    return value.replace("\r", " ").replace("\n", " ")
