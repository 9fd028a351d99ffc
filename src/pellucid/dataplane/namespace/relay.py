"""Carries connections from inside a workload's namespace to where they cannot get by themselves.

The listening sockets are inside, the supervisor that holds them is on the host: so what comes in there goes
out here, without a link, a route or a rule of the host being involved.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from pellucid.foundation.streams import Dial, Streams, join_streams, original_destination, reset

_DIAL_TIMEOUT_S = 10.0
_PEER_CREDENTIALS = struct.Struct("3i")


async def relay(listener: socket.socket, dial: Dial) -> asyncio.Server:
    """Serve a listening socket; every accepted connection is joined with what `dial` opens for it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_DIAL_TIMEOUT_S):
                onward = await dial(writer.get_extra_info("socket"))
        except (OSError, TimeoutError):
            reset(writer)
            return
        await join_streams((reader, writer), onward)

    if listener.family == socket.AF_UNIX:
        return await asyncio.start_unix_server(serve, sock=listener)
    return await asyncio.start_server(serve, sock=listener)


def to_address(address: str) -> Dial:
    """Onward to one place: `host:port`, or the path of a unix socket."""

    async def dial(accepted: socket.socket) -> Streams:
        return await open_address(address)

    return dial


async def open_address(address: str) -> Streams:
    """Connect to `host:port`, or to the path of a unix socket. Raises OSError."""
    if address.startswith("/"):
        return await asyncio.open_unix_connection(address)
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))


def only_for_user(uid: int, dial: Dial) -> Dial:
    """Refuse whoever is not that user; for unix sockets."""

    async def checked(accepted: socket.socket) -> Streams:
        credentials = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        if _PEER_CREDENTIALS.unpack(credentials)[1] != uid:
            raise PermissionError(f"only user {uid} may connect")
        return await dial(accepted)

    return checked


async def to_original_destination(accepted: socket.socket) -> Streams:
    """Onward to where the connection was going before it was redirected. Raises OSError."""
    host, port = original_destination(accepted)
    return await asyncio.open_connection(host, port)
