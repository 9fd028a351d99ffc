"""A command's streams as channels of WebSocket messages: the first byte says which.

Source: k8s.io/apimachinery/pkg/util/remotecommand, v4.channel.k8s.io and v5.channel.k8s.io.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec

from pellucid.localkube.http.node_streams import ExecSession
from pellucid.localkube.http.websocket import WebSocket

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PIECE = 32 * 1024

Object = dict[str, Any]


async def serve_channels(socket: WebSocket, session: ExecSession) -> None:
    """Carry the streams until the command ends or the client is gone."""
    incoming = asyncio.ensure_future(_take_input(socket, session))
    outgoing = asyncio.ensure_future(_send_output(socket, session))
    try:
        await asyncio.wait((incoming, outgoing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not outgoing.done():
            session.close()
        for task in (incoming, outgoing):
            task.cancel()
        await asyncio.gather(incoming, outgoing, return_exceptions=True)


async def _send_output(socket: WebSocket, session: ExecSession) -> None:
    async def copy(channel: int, stream: asyncio.StreamReader) -> None:
        while piece := await stream.read(PIECE):
            await socket.send(bytes((channel,)) + piece)

    copies = [copy(STDOUT, session.stdout)]
    if session.stderr is not None:
        copies.append(copy(STDERR, session.stderr))
    await asyncio.gather(*copies)
    await socket.send(bytes((ERROR,)) + msgspec.json.encode(await outcome(session)))
    await socket.close()


async def _take_input(socket: WebSocket, session: ExecSession) -> None:
    async for message in socket.messages():
        if not message:
            continue
        channel, payload = message[0], message[1:]
        if channel == STDIN:
            await session.write(payload)
        elif channel == RESIZE:
            resize(session, payload)
        elif channel == CLOSE and payload[:1] == bytes((STDIN,)):
            session.close_input()


def resize(session: ExecSession, payload: bytes) -> None:
    """Give the terminal the client's size; what is no size is ignored."""
    with contextlib.suppress(msgspec.DecodeError, AttributeError, TypeError):
        size = msgspec.json.decode(payload)
        session.resize(int(size.get("Width", 0)), int(size.get("Height", 0)))


async def outcome(session: ExecSession) -> Object:
    """How the command ended, as the Status on the error channel."""
    try:
        code = await session.wait()
    except Exception as error:
        failure = {"metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500}
        return {**failure, "message": str(error)}
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
