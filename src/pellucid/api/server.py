"""Listening: on addresses and unix sockets, in the clear or over TLS, until told to stop.

Source: Consul 1.10 docs, "Agent Configuration - addresses, limits".
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from email.utils import formatdate
from pathlib import Path

from pellucid.api.connection import Application, Connection, Connections, Limits

HANDSHAKE_SECONDS = 5.0
STOP_SECONDS = 1.5
"""How long a stopping server waits for answers under way."""


class HttpServer:
    """One application on any number of listeners."""

    def __init__(self, application: Application, limits: Limits | None = None) -> None:
        self.connections = Connections(application, limits or Limits(), time.monotonic)
        self._servers: list[asyncio.Server] = []
        self._sockets: list[Path] = []
        self._ticking: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Accept TCP connections on an IPv4 or IPv6 address; returns the port (0 picks a free one).

        Raises OSError.
        """
        self._start_ticking()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self.connections),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None,
            backlog=1024,
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_unix(self, path: Path, mode: int = 0o600) -> None:
        """Accept connections on a unix socket, replacing what a dead process left there. Raises OSError."""
        self._start_ticking()
        loop = asyncio.get_running_loop()
        _remove_dead_socket(path)
        mask = os.umask(0o777 & ~mode)
        try:
            server = await loop.create_unix_server(lambda: Connection(self.connections), str(path))
        finally:
            os.umask(mask)
        self._servers.append(server)
        self._sockets.append(path)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Accept nothing more, let answers under way finish for at most `seconds`, end the rest.

        Blocked queries are to be released first (`App.stop`).
        """
        for server in self._servers:
            server.close()
        for connection in tuple(self.connections.open):
            connection.end_when_answered()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.connections.none_open.wait(), seconds)
        for connection in tuple(self.connections.open):
            connection.abort()
        for path in self._sockets:
            _remove_dead_socket(path)
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking

    def _start_ticking(self) -> None:
        if self._ticking is None:
            self._renew_date()
            self._ticking = asyncio.get_running_loop().create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._renew_date()
            self.connections.end_overdue()

    def _renew_date(self) -> None:
        self.connections.date = f"Date: {formatdate(usegmt=True)}\r\n".encode()


def _remove_dead_socket(path: Path) -> None:
    if path.is_socket():
        path.unlink()
