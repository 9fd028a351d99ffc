"""One HTTP request and its answer on a connection that is then over: all that a sidecar asks of anybody.

httptools reads the answer; the standard library's client would bring its e-mail package into every pod.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping

import httptools
import msgspec


class MalformedReplyError(Exception):
    """What came back is no whole HTTP answer, or a longer one than was asked for."""


class Reply(msgspec.Struct, frozen=True):
    """The answer's status and body; headers: by their names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


class Ask(msgspec.Struct, frozen=True):
    """A request. headers: beside Host, Connection and Content-Length."""

    method: str
    target: str
    host: str = "localhost"
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def encode(self) -> bytes:
        fields = {
            "Host": self.host,
            "Connection": "close",
            "Content-Length": str(len(self.body)),
            **self.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{self.method} {self.target} HTTP/1.1\r\n{head}\r\n".encode() + self.body


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask, most_bytes: int
) -> Reply:
    """Send the request, read the answer, close. Raises OSError and MalformedReplyError."""
    try:
        writer.write(ask.encode())
        received = _Received()
        parser = httptools.HttpResponseParser(received)
        while not received.complete and (chunk := await reader.read(65536)):
            parser.feed_data(chunk)
            if received.size > most_bytes:
                raise MalformedReplyError(f"the answer is longer than {most_bytes} bytes")
        return received.reply(parser.get_status_code())
    except httptools.HttpParserError as problem:
        raise MalformedReplyError(f"the answer is no HTTP: {problem}") from problem
    finally:
        writer.close()


def reason(problem: Exception) -> str:
    """What went wrong, in the system's own words: asyncio's for a refused connection name no reason."""
    if (
        isinstance(problem, OSError)
        and problem.errno
        and not isinstance(problem, ssl.SSLError | socket.gaierror)
    ):
        return os.strerror(problem.errno).lower()
    return str(problem) or type(problem).__name__


class _Received:
    """What the parser calls. An answer that does not say its length lasts until the connection's end."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._headers: dict[str, str] = {}
        self._has_head = False
        self.size = 0
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.size += len(chunk)

    def on_message_complete(self) -> None:
        self.complete = True

    def reply(self, status: int) -> Reply:
        says_its_length = not self._headers.keys().isdisjoint(("content-length", "transfer-encoding"))
        if not self.complete and (says_its_length or not self._has_head):
            raise MalformedReplyError("the connection ended before the answer did")
        return Reply(status, b"".join(self._chunks), self._headers)
