"""Connections of asyncio: joined with one another, reset, and where they were going before a redirection."""

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
_SO_ORIGINAL_DST = 80
_LINGER_AND_DROP = struct.pack("ii", 1, 0)


async def join_streams(one: Streams, other: Streams) -> None:
    """Carry bytes both ways until both have ended or one breaks."""
    try:
        await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))
    except OSError:
        pass
    finally:
        for _, writer in (one, other):
            writer.close()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side sees a failure, not an end."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_AND_DROP)
    writer.transport.abort()


def original_destination(accepted: socket.socket) -> tuple[str, int]:
    """Where a connection was going before a rule sent it here. Raises OSError when none did."""
    if accepted.family == socket.AF_INET:
        level, layout = socket.IPPROTO_IP, struct.Struct("!2xH4s8x")
    else:
        level, layout = socket.IPPROTO_IPV6, struct.Struct("!2xH4x16s4x")
    port, address = layout.unpack(accepted.getsockopt(level, _SO_ORIGINAL_DST, layout.size))
    return socket.inet_ntop(accepted.family, address), port


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
