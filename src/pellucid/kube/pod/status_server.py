"""The sidecar's own HTTP server: is it ready, does it live, what does it count.

A page of asyncio instead of a web framework, which would weigh as much as the rest of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import msgspec

_MOST_HEADER_BYTES = 8192
_REQUEST_WITHIN_SECONDS = 20.0
"""A page may take its time: it waits for a server that is away."""
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Answer(msgspec.Struct, frozen=True):
    """A text, with the status that says whether all is well."""

    status: int
    text: str


Page = Callable[[], Awaitable[Answer]]


async def serve(host: str, port: int, pages: Mapping[str, Page]) -> asyncio.Server:
    """Answer GET for each path until closed. host: empty for every address. Raises OSError."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(_REQUEST_WITHIN_SECONDS):
                _write(writer, await _answer(reader, pages))
                await writer.drain()
        writer.close()

    return await asyncio.start_server(handle, host or None, port, limit=_MOST_HEADER_BYTES)


async def _answer(reader: asyncio.StreamReader, pages: Mapping[str, Page]) -> Answer:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.partition(b"\r\n")[0].decode().split(" ")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        return Answer(400, "bad request\n")
    page = pages.get(_path(target))
    if page is None:
        return Answer(404, "not found\n")
    if method != "GET":
        return Answer(405, "only GET\n")
    return await page()


def _path(target: str) -> str:
    """Kubelets as old as 1.20 put a slash before the path of a `preStop` hook, which has one already."""
    return "/" + target.partition("?")[0].lstrip("/")


def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    body = answer.text.encode()
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
