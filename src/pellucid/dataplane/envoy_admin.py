"""The few questions and orders that a supervisor has for Envoy's admin interface.

Source: Envoy docs, "Administration interface".
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable

from pellucid.dataplane.http_exchange import Ask, MalformedReplyError, Reply, exchange

Connect = Callable[[], Awaitable[socket.socket]]
"""Opens a connection to the admin interface; raises OSError when nobody is there."""

_MOST_BYTES = 16 << 20
_TIMEOUT_S = 5.0
_ACTIVE = re.compile(r"^listener\.[^:]*\.downstream_cx_active: (\d+)$", re.MULTILINE)
_WARMING = "listener_manager.total_listeners_warming"


class AdminError(Exception):
    """Envoy's admin interface did not answer as it should."""


class EnvoyAdmin:
    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def is_live(self) -> bool:
        """Whether Envoy has had its first configuration and still answers."""
        try:
            status, _ = await self.request("GET", "/ready")
        except AdminError:
            return False
        return status == 200

    async def is_ready(self) -> bool:
        """Whether it is live, and none of its listeners waits for its secrets.

        Envoy looks through all it counts for that: a question for its start, not for every other second.
        """
        try:
            return await self.is_live() and await self.gauge(_WARMING) == 0
        except AdminError:
            return False

    async def gauge(self, name: str) -> int:
        """The value of one statistic; 0 for one that Envoy does not have. Raises AdminError."""
        _, body = await self.request("GET", f"/stats?filter=^{re.escape(name)}$")
        return int(body.rpartition(": ")[2] or 0)

    async def drain_inbound(self) -> None:
        """Take no new connections from outside; open ones go on. Raises AdminError."""
        await self.request("POST", "/drain_listeners?inboundonly&graceful")

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
                reply = await self._exchange(method, path)
        except (OSError, TimeoutError) as problem:
            raise AdminError(f"Envoy's admin interface does not answer: {problem}") from problem
        except MalformedReplyError as problem:
            raise AdminError(f"Envoy's admin interface is not understood: {problem}") from problem
        return reply.status, reply.text

    async def _exchange(self, method: str, path: str) -> Reply:
        reader, writer = await asyncio.open_connection(sock=await self._connect())
        return await exchange(reader, writer, Ask(method, path, "admin"), _MOST_BYTES)
