"""Posting to admission webhooks: by address or by service, over TLS that is verified."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pellucid.localkube.api.store import Resources
from pellucid.localkube.http.connection import MAX_BODY
from pellucid.localkube.types.kinds import SERVICES

Object = dict[str, Any]

ServiceAddress = Callable[[str, str, int], tuple[str, int]]
"""Where a service (namespace, name, port) is reached: host and port. Raises OSError if nowhere."""


def cluster_addresses(resources: Resources) -> ServiceAddress:
    """Services by their cluster address, for a client inside the cluster's network."""

    def address(namespace: str, name: str, port: int) -> tuple[str, int]:
        service = resources.peek(SERVICES, namespace, name)
        if service is None:
            raise OSError(f'service "{name}" not found')
        host = service["spec"].get("clusterIP")
        if host in (None, "None"):
            raise OSError(f'service "{name}" has no cluster address')
        return host, port

    return address


class WebhookClient:
    """Sends reviews. Used as the `post` of `Webhooks`."""

    def __init__(self, service_address: ServiceAddress) -> None:
        self._service_address = service_address

    async def __call__(self, config: Object, body: bytes, seconds: float) -> bytes:
        """The answer's body. Raises OSError (with the address tried) and TimeoutError."""
        host, port, path, name = self._place(config)
        context = _context(config.get("caBundle"))
        url = f"https://{name}:{port}{path}"
        async with asyncio.timeout(seconds):
            try:
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=context, server_hostname=name, limit=64 * 1024
                )
                try:
                    writer.write(_request(name, path, body, seconds))
                    await writer.drain()
                    return await _answer(reader)
                finally:
                    writer.close()
                    with contextlib.suppress(Exception):
                        await writer.wait_closed()
            except (OSError, asyncio.IncompleteReadError) as error:
                if isinstance(error, TimeoutError):
                    raise
                raise OSError(f'Post "{url}": {error}') from None

    def _place(self, config: Object) -> tuple[str, int, str, str]:
        """Host, port, path with query, and the name in the certificate."""
        service = config.get("service")
        if service:
            name = f"{service['name']}.{service['namespace']}.svc"
            number = int(service.get("port") or 443)
            host, port = self._service_address(service["namespace"], service["name"], number)
            return host, port, service.get("path") or "/", name
        parts = urlsplit(str(config.get("url", "")))
        if parts.scheme != "https" or not parts.hostname:
            raise OSError(f"{config.get('url')!r} is not an https address")
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        return parts.hostname, parts.port or 443, path, parts.hostname


def _context(bundle: str | None) -> ssl.SSLContext:
    try:
        text = base64.b64decode(bundle, validate=True).decode() if bundle else None
        return ssl.create_default_context(cadata=text)
    except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as error:
        raise OSError(f"its caBundle holds no certificates: {error}") from None


def _request(host: str, path: str, body: bytes, seconds: float) -> bytes:
    joint = "&" if "?" in path else "?"
    head = (
        f"POST {path}{joint}timeout={int(seconds)}s HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> bytes:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        raise OSError("its answer's headers are too long") from None
    status, *lines = head.strip().split("\r\n")
    parts = status.split(" ", 2)
    if len(parts) < 2 or parts[1] != "200":
        raise OSError(f"it answered {status!r}")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
    }
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _chunks(reader)
    if "content-length" in headers:
        length = headers["content-length"]
        if not length.isdigit() or int(length) > MAX_BODY:
            raise OSError("its answer is too long")
        return await reader.readexactly(int(length))
    body = bytearray()
    while piece := await reader.read(64 * 1024):
        body += piece
        if len(body) > MAX_BODY:
            raise OSError("its answer is too long")
    return bytes(body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        try:
            size = int((await reader.readline()).split(b";")[0], 16)
        except ValueError:
            raise OSError("its answer is malformed") from None
        if size < 0 or len(body) + size > MAX_BODY:
            raise OSError("its answer is too long")
        body += await reader.readexactly(size)
        await reader.readline()
        if size == 0:
            return bytes(body)
