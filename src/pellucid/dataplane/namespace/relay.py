"""Carries connections from inside a workload's namespace to where they cannot get by themselves.

The listening sockets are inside, the supervisor that holds them is on the host: so what comes in there goes
out here, without a link, a route or a rule of the host being involved.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

Dial = Callable[[socket.socket], Awaitable[Streams]]
"""Opens the way on for an accepted connection. Raises OSError when there is none."""

_CHUNK = 1 << 16
_DIAL_TIMEOUT_S = 10.0
_SO_ORIGINAL_DST = 80
_PEER_CREDENTIALS = struct.Struct("3i")


async def relay(listener: socket.socket, dial: Dial) -> asyncio.Server:
    """Serve a listening socket; every accepted connection is joined with what `dial` opens for it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_DIAL_TIMEOUT_S):
                onward = await dial(writer.get_extra_info("socket"))
        except (OSError, TimeoutError):
            _reset(writer)
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


def original_destination(accepted: socket.socket) -> tuple[str, int]:
    """Raises OSError when the connection was not redirected."""
    if accepted.family == socket.AF_INET:
        level, layout = socket.IPPROTO_IP, struct.Struct("!2xH4s8x")
    else:
        level, layout = socket.IPPROTO_IPV6, struct.Struct("!2xH4x16s4x")
    port, address = layout.unpack(accepted.getsockopt(level, _SO_ORIGINAL_DST, layout.size))
    return socket.inet_ntop(accepted.family, address), port


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side sees a failure, not an end."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def join_streams(one: Streams, other: Streams) -> None:
    """Carry bytes both ways until both have ended or one breaks."""
    try:
        await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))
    except OSError:
        pass
    finally:
        for _, writer in (one, other):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
