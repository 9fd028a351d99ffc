"""SPDY/3.1, the server's side, as far as Kubernetes clients use it: many streams over one connection.

Source: the SPDY Protocol, Draft 3.1. There is no flow control in practice, no push, no priorities.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
MAX_FRAME = 1 << 20
WAITING_PIECES = 64
"""Pieces a stream may have waiting before the connection is read no further."""

Send = Callable[[bytes], Awaitable[None]]

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges "
    "age allow authorization cache-control connection content-base content-encoding content-language "
    "content-length content-location content-md5 content-range content-type date etag expect expires from "
    "host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location "
    "max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer "
    "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200_OK version "
    "HTTP/1.1 url public set-cookie keep-alive origin"
)
_TAIL = (
    "1001012012022052063003023033043053063074024054064074084094104114124134144154164175025045"
    "05203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 U"
    "nauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Ser"
    "vice UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, T"
    "hu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,ap"
    "plication/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcha"
    "rset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    words = [word.replace("_", " ").encode() for word in _WORDS.split(" ")]
    return b"".join(len(word).to_bytes(4, "big") + word for word in words) + _TAIL.encode()


DICTIONARY = _dictionary()
"""The preset dictionary of header compression; its Adler-32 is e3c6a7c2."""


class SpdyError(ConnectionError):
    """The other side does not speak SPDY/3.1 as it should."""


class SpdyStream:
    """One stream the client opened."""

    def __init__(self, connection: SpdyConnection, id: int, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(WAITING_PIECES)
        self._ended = False
        self.id = id
        self.headers = headers

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        if self._ended:
            return b""
        piece = await self._waiting.get()
        self._ended = not piece
        return piece

    async def write(self, piece: bytes, *, last: bool = False) -> None:
        """Send a piece; with `last`, nothing follows."""
        await self._connection.send_data(self.id, piece, last=last)

    def cut(self) -> None:
        """The connection is gone: what is waiting is the last."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(b"")

    async def received(self, piece: bytes) -> None:
        """Take what arrived; waits while too much is unread."""
        await self._waiting.put(piece)


class SpdyConnection:
    """Frames over a stream of bytes. `run` reads them; opened streams come out of `opened`."""

    def __init__(self, reader: asyncio.StreamReader, send: Send) -> None:
        self._reader = reader
        self._send = send
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._streams: dict[int, SpdyStream] = {}
        self._sending = asyncio.Lock()
        self._opened: asyncio.Queue[SpdyStream | None] = asyncio.Queue()

    async def opened(self) -> AsyncIterator[SpdyStream]:
        """Streams as the client opens them, until the connection ends."""
        while (stream := await self._opened.get()) is not None:
            yield stream

    async def run(self) -> None:
        """Read frames until the end. Raises SpdyError."""
        try:
            while await self._frame():
                pass
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            self._opened.put_nowait(None)
            for stream in self._streams.values():
                stream.cut()

    async def _frame(self) -> bool:
        head = await self._reader.readexactly(8)
        flags, length = head[4], int.from_bytes(head[5:8], "big")
        if length > MAX_FRAME:
            raise SpdyError(f"a SPDY frame of {length} bytes is too long")
        payload = await self._reader.readexactly(length)
        if not head[0] & 0x80:
            await self._data(int.from_bytes(head[:4], "big"), flags, payload)
            return True
        match int.from_bytes(head[2:4], "big"):
            case 1:
                await self._syn_stream(flags, payload)
            case 3:
                stream = self._streams.pop(int.from_bytes(payload[:4], "big"), None)
                if stream is not None:
                    await stream.received(b"")
            case 6:
                await self._control(PING, 0, payload)
            case 7:
                return False
        return True

    async def _data(self, id: int, flags: int, payload: bytes) -> None:
        stream = self._streams.get(id)
        if stream is None:
            return
        if payload:
            await stream.received(payload)
        if flags & FIN:
            await stream.received(b"")

    async def _syn_stream(self, flags: int, payload: bytes) -> None:
        id = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        stream = SpdyStream(self, id, self._headers(payload[10:]))
        self._streams[id] = stream
        empty = self._deflate.compress(bytes(4)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        await self._control(SYN_REPLY, 0, id.to_bytes(4, "big") + empty)
        if flags & FIN:
            await stream.received(b"")
        self._opened.put_nowait(stream)

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._inflate.decompress(block, MAX_FRAME)
            (count,) = struct.unpack_from(">I", plain)
            place, texts = 4, []
            for _ in range(min(count, 100) * 2):
                (length,) = struct.unpack_from(">I", plain, place)
                texts.append(plain[place + 4 : place + 4 + length].decode())
                place += 4 + length
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise SpdyError(f"a SPDY header block cannot be read: {error}") from None
        return dict(zip(texts[::2], texts[1::2], strict=True))

    async def send_data(self, id: int, piece: bytes, *, last: bool = False) -> None:
        """A DATA frame."""
        flags = FIN if last else 0
        head = id.to_bytes(4, "big") + bytes((flags,)) + len(piece).to_bytes(3, "big")
        async with self._sending:
            await self._send(head + piece)

    async def _control(self, kind: int, flags: int, payload: bytes) -> None:
        head = struct.pack(">HHB", 0x8003, kind, flags) + len(payload).to_bytes(3, "big")
        async with self._sending:
            await self._send(head + payload)
