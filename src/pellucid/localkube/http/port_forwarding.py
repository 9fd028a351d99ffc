"""Port-forward: pairs of SPDY streams, one for bytes and one for what went wrong, each pair a connection.

Source: Kubernetes' portforward.k8s.io protocol, plain and tunnelled through WebSocket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from pellucid.localkube.http.spdy import SpdyConnection, SpdyStream
from pellucid.localkube.http.websocket import WebSocket

PORT_FORWARD = "portforward.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
PIECE = 32 * 1024

Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def serve_tunnel(socket: WebSocket, connect: Connect) -> None:
    """SPDY whose bytes come as WebSocket messages."""
    reader = asyncio.StreamReader()

    async def feed() -> None:
        async for message in socket.messages():
            reader.feed_data(message)
        reader.feed_eof()

    feeding = asyncio.ensure_future(feed())
    try:
        await _serve(SpdyConnection(reader, socket.send), connect)
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await socket.close()


async def serve_spdy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connect: Connect) -> None:
    """SPDY on the connection itself."""

    async def send(piece: bytes) -> None:
        writer.write(piece)
        await writer.drain()

    await _serve(SpdyConnection(reader, send), connect)


async def _serve(connection: SpdyConnection, connect: Connect) -> None:
    running = asyncio.ensure_future(connection.run())
    forwards: set[asyncio.Task[None]] = set()
    halves: dict[str, SpdyStream] = {}
    try:
        async for stream in connection.opened():
            request = stream.headers.get("requestid", "")
            other = halves.pop(request, None)
            if other is None:
                halves[request] = stream
                continue
            pair = {one.headers.get("streamtype"): one for one in (stream, other)}
            if set(pair) == {"data", "error"}:
                task = asyncio.ensure_future(_forward(pair["data"], pair["error"], connect))
                forwards.add(task)
                task.add_done_callback(forwards.discard)
        await running
    finally:
        for task in (running, *forwards):
            task.cancel()
        await asyncio.gather(running, *forwards, return_exceptions=True)


async def _forward(data: SpdyStream, error: SpdyStream, connect: Connect) -> None:
    """One connection to the pod, both ways, each half closed on its own."""
    port = data.headers.get("port", "")
    try:
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise OSError(f"{port!r} is not a port")
        reader, writer = await connect(int(port))
    except Exception as refused:
        await error.write(f"error forwarding port {port} to pod: {refused}".encode(), last=True)
        await data.write(b"", last=True)
        return
    try:
        sending = asyncio.ensure_future(_to_pod(data, writer))
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(PIECE):
                await data.write(piece)
        await data.write(b"", last=True)
        await error.write(b"", last=True)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    finally:
        writer.close()


async def _to_pod(data: SpdyStream, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await data.read():
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
