"""The few questions and orders that a supervisor has for Envoy's admin interface.

Source: Envoy docs, "Administration interface".
"""

from __future__ import annotations

import asyncio
import http.client
import io
import re
import socket
from collections.abc import Awaitable, Callable
from typing import cast

Connect = Callable[[], Awaitable[socket.socket]]
"""Opens a connection to the admin interface; raises OSError when nobody is there."""

_MOST_BYTES = 1 << 20
_TIMEOUT_S = 5.0
_ACTIVE = re.compile(r"^listener\.[^:]*\.downstream_cx_active: (\d+)$", re.MULTILINE)


class AdminError(Exception):
    """Envoy's admin interface did not answer as it should."""


class EnvoyAdmin:
    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def is_ready(self) -> bool:
        """Whether Envoy has its first configuration and serves."""
        try:
            return (await self.request("GET", "/ready"))[0] == 200
        except AdminError:
            return False

    async def drain_inbound(self) -> None:
        """Take no new connections from outside; open ones go on. Raises AdminError."""
        await self.request("POST", "/drain_listeners?inboundonly&graceful&skip_exit")

    async def inbound_connections(self, inbound_port: int) -> int:
        """How many connections from outside are open. Raises AdminError."""
        _, body = await self.request(
            "GET", rf"/stats?filter=^listener\..*_{inbound_port}\.downstream_cx_active$"
        )
        return sum(map(int, _ACTIVE.findall(body)))

    async def request(self, method: str, path: str) -> tuple[int, str]:
        """Status and body. Raises AdminError."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return _parse(await self._exchange(method, path))
        except (OSError, TimeoutError) as problem:
            raise AdminError(f"Envoy's admin interface does not answer: {problem}") from problem

    async def _exchange(self, method: str, path: str) -> bytes:
        reader, writer = await asyncio.open_connection(sock=await self._connect())
        try:
            head = f"{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: 0"
            writer.write(f"{head}\r\n\r\n".encode())
            answer = b""
            while (chunk := await reader.read(65536)) and len(answer) < _MOST_BYTES:
                answer += chunk
            return answer
        finally:
            writer.close()


class _Received:
    """A finished answer, in the place of the socket that http.client reads from."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._answer)


def _parse(answer: bytes) -> tuple[int, str]:
    response = http.client.HTTPResponse(cast(socket.socket, _Received(answer)))
    try:
        response.begin()
        return response.status, response.read().decode(errors="replace")
    except http.client.HTTPException as problem:
        raise AdminError(f"Envoy's admin interface answered {answer[:80]!r}") from problem
