"""Posting to admission webhooks: by address or by service, over TLS that is verified."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pellucid.localkube.api.store import Resources
from pellucid.localkube.http.connection import MAX_BODY
from pellucid.localkube.types.kinds import SERVICES

Object = dict[str, Any]

_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's numbers for chains that end nowhere trusted."""
_TOLD = 1024
"""Bytes of an error's body that are passed on."""

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


class _Refused(Exception):
    """The webhook answered, but not with a review."""


class _Place(msgspec.Struct, frozen=True):
    """Where a review is posted to; service: namespace and name if it is one of the cluster."""

    name: str
    port: int
    path: str
    service: tuple[str, str] | None = None


class WebhookClient:
    """Sends reviews. Used as the `post` of `Webhooks`. Its errors read as those of Go's client."""

    def __init__(self, service_address: ServiceAddress) -> None:
        self._service_address = service_address

    async def __call__(self, config: Object, body: bytes, seconds: float) -> bytes:
        """The answer's body. Raises OSError and TimeoutError, with the address tried."""
        place = _place(config)
        joint = "&" if "?" in place.path else "?"
        path = f"{place.path}{joint}timeout={int(seconds)}s"
        url = f"https://{place.name}:{place.port}{path}"
        try:
            async with asyncio.timeout(seconds):
                return await self._posted(place, path, _context(config.get("caBundle")), body)
        except TimeoutError:
            raise TimeoutError(f'Post "{url}": context deadline exceeded') from None
        except _Refused as refused:
            raise OSError(str(refused)) from None
        except (asyncio.IncompleteReadError, ConnectionResetError):
            raise OSError(f'Post "{url}": EOF') from None
        except OSError as error:
            raise OSError(f'Post "{url}": {error}') from None

    async def _posted(self, place: _Place, path: str, context: ssl.SSLContext, body: bytes) -> bytes:
        host, port = place.name, place.port
        if place.service is not None:
            host, port = self._service_address(*place.service, place.port)
        reader, writer = await _connected(host, port, context, place.name)
        try:
            writer.write(_request(place.name, path, body))
            await writer.drain()
            return await _answer(reader)
        finally:
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()


def _place(config: Object) -> _Place:
    service = config.get("service")
    if service:
        at = (str(service["namespace"]), str(service["name"]))
        port = int(service.get("port") or 443)
        return _Place(f"{at[1]}.{at[0]}.svc", port, service.get("path") or "/", at)
    parts = urlsplit(str(config.get("url", "")))
    if parts.scheme != "https" or not parts.hostname:
        raise OSError(f"{config.get('url')!r} is not an https address")
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return _Place(parts.hostname, parts.port or 443, path)


async def _connected(
    host: str, port: int, context: ssl.SSLContext, name: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(host, port, ssl=context, server_hostname=name, limit=64 * 1024)
    except ConnectionRefusedError:
        raise OSError(f"dial tcp {host}:{port}: connect: connection refused") from None
    except ssl.SSLCertVerificationError as error:
        unknown = "certificate signed by unknown authority"
        why = unknown if error.verify_code in _UNKNOWN_AUTHORITY else error.verify_message
        raise OSError(f"tls: failed to verify certificate: x509: {why}") from None


def _context(bundle: str | None) -> ssl.SSLContext:
    try:
        text = base64.b64decode(bundle, validate=True).decode() if bundle else None
        return ssl.create_default_context(cadata=text)
    except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as error:
        raise OSError(f"its caBundle holds no certificates: {error}") from None


def _request(host: str, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
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
    if not parts[0].startswith("HTTP/1.") or len(parts) < 2 or not parts[1].isdigit():
        raise OSError(f'malformed HTTP response "{status[:80]}"')
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
    }
    body = await _body(reader, headers)
    if not 200 <= int(parts[1]) < 300:
        raise _Refused(_refusal(int(parts[1]), body))
    return body


def _refusal(code: int, body: bytes) -> str:
    """What is said of an answer that is no review. Source: NewGenericServerResponse in apimachinery."""
    if code == 404:
        return "the server could not find the requested resource"
    if code >= 500:
        told = body[:_TOLD].decode("utf-8", "replace").strip() or "unknown"
        return f'an error on the server ("{told}") has prevented the request from succeeding'
    return "the server rejected our request for an unknown reason"


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
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
