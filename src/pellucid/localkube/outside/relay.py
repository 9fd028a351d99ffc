"""Joins two connections, one of which the cluster's network namespace has no way to make."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

Dial = Callable[[socket.socket], Awaitable[Streams]]
"""Opens the way on for an accepted connection. Raises OSError when there is none."""

_PIECE = 1 << 16
_DIAL_WITHIN_S = 10.0
_MOST_CONNECTIONS = 2048


class Relay:
    """Joins each accepted connection with what is dialled for it; more than it can carry are reset."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._joined: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, address: str) -> int:
        """At a free port of an address; answers the port. Raises OSError."""
        self._servers.append(await asyncio.start_server(self._serve, address, 0))
        return int(self._servers[-1].sockets[0].getsockname()[1])

    async def listen_on(self, listener: socket.socket) -> None:
        """On a socket that listens already, of whichever network namespace."""
        self._servers.append(await asyncio.start_server(self._serve, sock=listener))

    async def close(self) -> None:
        """Listen no more and end every connection."""
        for server in self._servers:
            server.close()
        for task in tuple(self._joined):
            task.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._joined) >= _MOST_CONNECTIONS:
            _reset(writer)
            return
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)
        with contextlib.suppress(asyncio.CancelledError):
            try:
                async with asyncio.timeout(_DIAL_WITHIN_S):
                    onward = await self._dial(writer.get_extra_info("socket"))
            except OSError:
                _reset(writer)
                return
            await _join((reader, writer), onward)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side sees a failure, not an end."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _join(one: Streams, other: Streams) -> None:
    """Carry bytes both ways until both have ended or one breaks."""
    try:
        await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))
    except OSError:
        pass
    finally:
        for _, writer in (one, other):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
