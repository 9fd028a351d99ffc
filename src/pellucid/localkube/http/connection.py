"""HTTP/1.1 over one connection: requests read one after another, answers whole or streamed, upgrades.

Source: RFC 9112. Only what Kubernetes clients use: no pipelining, no trailers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

logger = logging.getLogger(__name__)

MAX_HEAD = 64 * 1024
MAX_BODY = 3 * 1024 * 1024
"""As etcd and kube-apiserver limit a request."""
IDLE_SECONDS = 300.0
STALLED_SECONDS = 60.0
"""How long a client may take nothing of what it is sent before the connection is cut."""

Session = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What takes over a connection after an upgrade."""


class Refused(Exception):
    """A request that cannot be read; the connection ends with this answer."""

    def __init__(self, code: int, why: str) -> None:
        self.code = code
        super().__init__(why)


class Request(msgspec.Struct, frozen=True):
    """One request. Header names are in lower case; repeated ones are joined with a comma."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    certificate: Mapping[str, Any] | None = None
    """The client's verified certificate, as `ssl` decodes it."""

    def parameter(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """Whether a query parameter says yes."""
        return self.parameter(name) in ("true", "1")


class Response(msgspec.Struct, frozen=True):
    """An answer: a body at once, a stream of pieces, or a session that takes the connection over."""

    code: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    stream: AsyncIterator[bytes] | None = None
    session: Session | None = None


Handler = Callable[[Request], Awaitable[Response]]


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> None:
    """Answer requests until either side has had enough."""
    try:
        while await _serve_one(reader, writer, handler):
            pass
    except (ConnectionError, TimeoutError, asyncio.IncompleteReadError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def _serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> bool:
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            request = await read_request(reader, writer)
    except Refused as refused:
        await _write_whole(writer, Response(refused.code, str(refused).encode(), "text/plain"), close=True)
        return False
    if request is None:
        return False
    response = await handler(request)
    if response.session is not None:
        writer.write(_head(response, []))
        await response.session(reader, writer)
        return False
    if response.stream is not None:
        await _write_stream(reader, writer, response, response.stream)
        return False
    close = request.headers.get("connection", "").lower() == "close"
    await _write_whole(writer, response, close=close)
    return not close


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request, or None at the end. Raises Refused."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise Refused(431, "the request's headers are too long") from None
    lines = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
    except ValueError:
        raise Refused(400, "malformed request line") from None
    if not version.startswith("HTTP/1."):
        raise Refused(505, "only HTTP/1.1 is spoken here")
    headers = _headers(lines[1:])
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(reader, headers)
    parts = urlsplit(target)
    secured = writer.get_extra_info("ssl_object")
    certificate = secured.getpeercert() if secured is not None else None
    query = parse_qs(parts.query, keep_blank_values=True)
    return Request(method, unquote(parts.path), query, headers, body, certificate or None)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Refused(400, "malformed header")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    if "transfer-encoding" in headers and "content-length" in headers:
        raise Refused(400, "both Transfer-Encoding and Content-Length")
    return headers


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    stated = headers.get("content-length", "0")
    if not stated.isascii() or not stated.isdigit():
        raise Refused(400, "malformed Content-Length")
    length = int(stated)
    if length > MAX_BODY:
        raise Refused(413, f"the body is limited to {MAX_BODY} bytes")
    return await reader.readexactly(length)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        try:
            size = int((await reader.readline()).split(b";")[0], 16)
        except ValueError:
            raise Refused(400, "malformed chunk") from None
        if size < 0 or len(body) + size > MAX_BODY:
            raise Refused(413, f"the body is limited to {MAX_BODY} bytes")
        body += await reader.readexactly(size)
        await reader.readline()
        if size == 0:
            return bytes(body)


def _head(response: Response, extra: list[tuple[str, str]]) -> bytes:
    reason = HTTPStatus(response.code).phrase
    lines = [f"HTTP/1.1 {response.code} {reason}"]
    if response.session is None:
        lines.append(f"Content-Type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in (*response.headers, *extra)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


async def _write_whole(writer: asyncio.StreamWriter, response: Response, *, close: bool) -> None:
    extra = [("Content-Length", str(len(response.body)))]
    if close:
        extra.append(("Connection", "close"))
    writer.write(_head(response, extra) + response.body)
    await _drained(writer)


async def _drained(writer: asyncio.StreamWriter) -> None:
    """Wait until the client has taken nearly all. Raises ConnectionAbortedError if it stops taking any."""
    left = writer.transport.get_write_buffer_size()
    while True:
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                return await writer.drain()
        except TimeoutError:
            now = writer.transport.get_write_buffer_size()
            if now >= left:
                writer.transport.abort()
                raise ConnectionAbortedError("the client takes nothing of its answer") from None
            left = now


async def _write_stream(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    response: Response,
    stream: AsyncIterator[bytes],
) -> None:
    """Pieces as chunks, each at once, until the stream ends or the client goes away."""
    writer.write(_head(response, [("Transfer-Encoding", "chunked"), ("Connection", "close")]))
    await writer.drain()
    sending = asyncio.ensure_future(_send_pieces(writer, stream))
    gone = asyncio.ensure_future(_until_gone(reader))
    try:
        await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, gone):
            task.cancel()
        outcomes = await asyncio.gather(sending, gone, return_exceptions=True)
        failed = outcomes[0]
        if isinstance(failed, Exception) and not isinstance(failed, ConnectionError):
            logger.error("a stream ended early", exc_info=failed)


async def _send_pieces(writer: asyncio.StreamWriter, stream: AsyncIterator[bytes]) -> None:
    try:
        async for piece in stream:
            if piece:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await _drained(writer)
        writer.write(b"0\r\n\r\n")
        await _drained(writer)
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _until_gone(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass
