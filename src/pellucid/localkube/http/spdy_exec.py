"""A command's streams as SPDY streams, for clients from before WebSocket.

Source: Kubernetes' v4.channel.k8s.io over SPDY/3.1: each stream says in `streamtype` what it carries.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator

import msgspec

from pellucid.localkube.http.channels import PIECE, outcome, resize
from pellucid.localkube.http.node_streams import ExecSession
from pellucid.localkube.http.spdy import SpdyConnection, SpdyStream

OPENING_SECONDS = 30.0


async def serve_spdy_exec(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    session: ExecSession,
    wanted: frozenset[str],
) -> None:
    """Wait for the streams wanted, carry them until the command ends or the client is gone."""

    async def send(piece: bytes) -> None:
        writer.write(piece)
        await writer.drain()

    connection = SpdyConnection(reader, send)
    running = asyncio.ensure_future(connection.run())
    tasks: list[asyncio.Future[None]] = []
    finished = False
    try:
        async with asyncio.timeout(OPENING_SECONDS):
            streams = await _opened(connection, wanted)
        tasks = [asyncio.ensure_future(one) for one in _inputs(streams, session)]
        output = asyncio.ensure_future(_output(streams, session))
        tasks.append(output)
        await asyncio.wait((output, running), return_when=asyncio.FIRST_COMPLETED)
        finished = output.done()
        if finished:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(running), OPENING_SECONDS)
    finally:
        if not finished:
            session.close()
        for task in (running, *tasks):
            task.cancel()
        await asyncio.gather(running, *tasks, return_exceptions=True)


async def _opened(connection: SpdyConnection, wanted: frozenset[str]) -> dict[str, SpdyStream]:
    streams: dict[str, SpdyStream] = {}
    async for stream in connection.opened():
        streams[stream.headers.get("streamtype", "")] = stream
        if wanted <= set(streams):
            return streams
    raise ConnectionError("the client left before it had opened its streams")


def _inputs(streams: dict[str, SpdyStream], session: ExecSession) -> Iterator[Coroutine[None, None, None]]:
    async def stdin(stream: SpdyStream) -> None:
        while piece := await stream.read():
            await session.write(piece)
        session.close_input()

    async def sizes(stream: SpdyStream) -> None:
        while piece := await stream.read():
            resize(session, piece)

    if "stdin" in streams:
        yield stdin(streams["stdin"])
    if "resize" in streams:
        yield sizes(streams["resize"])


async def _output(streams: dict[str, SpdyStream], session: ExecSession) -> None:
    async def copy(stream: SpdyStream, source: asyncio.StreamReader) -> None:
        while piece := await source.read(PIECE):
            await stream.write(piece)
        await stream.write(b"", last=True)

    copies = []
    if "stdout" in streams:
        copies.append(copy(streams["stdout"], session.stdout))
    if "stderr" in streams and session.stderr is not None:
        copies.append(copy(streams["stderr"], session.stderr))
    await asyncio.gather(*copies)
    await streams["error"].write(msgspec.json.encode(await outcome(session)), last=True)
