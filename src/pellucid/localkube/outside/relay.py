"""Joins two connections, one of which the cluster's network namespace has no way to make."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from pellucid.foundation.streams import Dial, join_streams, reset

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
            reset(writer)
            return
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)
        with contextlib.suppress(asyncio.CancelledError):
            try:
                async with asyncio.timeout(_DIAL_WITHIN_S):
                    onward = await self._dial(writer.get_extra_info("socket"))
            except OSError:
                reset(writer)
                return
            await join_streams((reader, writer), onward)
