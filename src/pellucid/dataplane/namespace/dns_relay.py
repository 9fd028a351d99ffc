"""Carries DNS queries from sockets inside a workload's namespace to the servers outside, and answers back.

While a server does not answer, the last answer it gave is given again: sidecars go on without the agent, and
so names must.
Source: RFC 8767, serving stale data to improve DNS resiliency.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pellucid.dataplane.namespace.name_resolution import NameServers
from pellucid.dataplane.namespace.relay import open_address
from pellucid.foundation.streams import Streams, join_streams

_ANSWER_WITHIN_S = 5.0
_MOST_OUTSTANDING = 1024
_MOST_REMEMBERED = 1024
_NOERROR, _NXDOMAIN = 0, 3


@asynccontextmanager
async def dns_relay(
    datagrams: socket.socket, stream: socket.socket, servers: NameServers
) -> AsyncIterator[None]:
    """Serve a bound UDP socket and a listening TCP socket."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Queries(servers), sock=datagrams)
    server = await asyncio.start_server(lambda *streams: _serve_stream(streams, servers), sock=stream)
    try:
        yield
    finally:
        transport.close()
        server.close()


class _Queries(asyncio.DatagramProtocol):
    """Each query gets a socket, and with it a port, of its own: answers cannot be mixed up or guessed."""

    def __init__(self, servers: NameServers) -> None:
        self._servers = servers
        self._last_answers = LastAnswers()
        self._outstanding: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if len(self._outstanding) < _MOST_OUTSTANDING:
            task = asyncio.create_task(self._forward(data, addr))
            self._outstanding.add(task)
            task.add_done_callback(self._outstanding.discard)

    async def _forward(self, query: bytes, client: Any) -> None:
        try:
            answer = await _ask(self._servers.for_query(query), query)
            self._last_answers.remember(query, answer)
        except (OSError, TimeoutError):
            answer = self._last_answers.recall(query)
        if answer:
            self._transport.sendto(answer, client)


class LastAnswers:
    """What each question was last answered, for questions asked again in the same words."""

    def __init__(self) -> None:
        self._answers: dict[bytes, bytes] = {}

    def remember(self, query: bytes, answer: bytes) -> None:
        """Keep an answer that says something; past a number, the one not renewed for longest is dropped."""
        question = query[2:]
        if len(answer) < 4 or answer[3] & 0x0F not in (_NOERROR, _NXDOMAIN):
            return
        self._answers.pop(question, None)
        self._answers[question] = answer[2:]
        if len(self._answers) > _MOST_REMEMBERED:
            del self._answers[next(iter(self._answers))]

    def recall(self, query: bytes) -> bytes:
        """The answer to this very query; empty if there was none."""
        answer = self._answers.get(query[2:])
        return query[:2] + answer if answer else b""


class _Answer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.content: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.content.done():
            self.content.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.content.done():
            self.content.set_exception(exc)


async def _serve_stream(client: Streams, servers: NameServers) -> None:
    """A TCP connection goes to the server that its first query belongs to."""
    reader, writer = client
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            length = await reader.readexactly(2)
            query = await reader.readexactly(int.from_bytes(length))
            onward = await open_address(servers.for_query(query))
    except (OSError, EOFError, TimeoutError):
        writer.transport.abort()
        return
    onward[1].write(length + query)
    await join_streams(client, onward)


async def _ask(server: str, query: bytes) -> bytes:
    host, _, port = server.rpartition(":")
    loop = asyncio.get_running_loop()
    transport, answer = await loop.create_datagram_endpoint(
        _Answer, remote_addr=(host.strip("[]"), int(port))
    )
    try:
        transport.sendto(query)
        return await asyncio.wait_for(answer.content, _ANSWER_WITHIN_S)
    finally:
        transport.close()
