"""WebSocket, the server's side: the handshake and messages. Source: RFC 6455."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

MAX_MESSAGE = 4 * 1024 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10


def handshake(key: str, protocol: str) -> tuple[tuple[str, str], ...]:
    """The headers of a 101 answer."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324
    return (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept),
        ("Sec-WebSocket-Protocol", protocol),
    )


class WebSocket:
    """Messages over a connection whose handshake is done."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._closed = False

    async def messages(self) -> AsyncIterator[bytes]:
        """The client's messages, until it closes or the connection ends. Pings are answered here."""
        whole = bytearray()
        while True:
            try:
                final, opcode, payload = await self._frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            match opcode:
                case 9:
                    await self._send(_PONG, payload)
                case 8:
                    await self.close()
                    return
                case 0 | 1 | 2:
                    whole += payload
                    if len(whole) > MAX_MESSAGE:
                        await self.close(1009)
                        return
                    if final:
                        yield bytes(whole)
                        whole.clear()

    async def _frame(self) -> tuple[bool, int, bytes]:
        first, second = await self._reader.readexactly(2)
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
        if length > MAX_MESSAGE:
            await self.close(1009)
            raise ConnectionError("a WebSocket frame is too long")
        mask = await self._reader.readexactly(4) if second & 0x80 else b""
        payload = await self._reader.readexactly(length)
        return bool(first & 0x80), first & 0x0F, _masked(payload, mask) if mask else payload

    async def send(self, payload: bytes) -> None:
        """One binary message."""
        await self._send(_BINARY, payload)

    async def close(self, code: int = 1000) -> None:
        """Say goodbye; nothing is sent after it."""
        if not self._closed:
            await self._send(_CLOSE, code.to_bytes(2, "big"))
            self._closed = True

    async def _send(self, opcode: int, payload: bytes) -> None:
        if self._closed:
            return
        length = len(payload)
        if length < 126:
            head = bytes((0x80 | opcode, length))
        elif length < 1 << 16:
            head = bytes((0x80 | opcode, 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big")
        self._writer.write(head + payload)
        await self._writer.drain()


def _masked(payload: bytes, mask: bytes) -> bytes:
    length = len(payload)
    key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big")
