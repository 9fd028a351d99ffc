"""The mesh server's HTTP API, as the components that run in the cluster call it.

HTTPS with the server authority's certificate; the token is a service-account token that the kubelet
renews, so its file is read for each request. A request that finds nobody is made again a few times, with
growing pauses: that covers a server that is being replaced. All requests made here can be repeated without
harm. A longer absence is for the caller to wait out, with `ServerUnavailable` saying why.

Source: Consul 1.10 docs, "HTTP API"; Kubernetes docs, "Service Accounts - Bound service account tokens".
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from pellucid.dataplane.certificate_refusal import refusal

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 64 << 20
PAUSES_S = (0.1, 0.5)
"""Pauses before the second and the third attempt."""
AWAY_STATUSES = frozenset(
    (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
)
"""What something between us and an absent server answers."""
_LONGEST_TEXT = 500


class ServerUnavailable(Exception):
    """No answer from the server; `str()` names the server and the reason."""


class ServerRefused(Exception):
    """The server answered with an error; `str()` is its own text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text or f"HTTP status {status}")
        self.status = status


class ServerAddress(msgspec.Struct, frozen=True):
    """Where the server is and how to speak to it.

    url: such as `https://consul-consul-server-api.consul.svc:8501`;
    ca_file: PEM certificates that the server's is checked against, read again when the file changes;
    token_file: holds the token to show, nothing shown without one.
    """

    url: str
    ca_file: Path | None = None
    token_file: Path | None = None

    @property
    def name(self) -> str:
        """The server as a person calls it: the name of its Kubernetes Service, or its IP address."""
        host = httpx2.URL(self.url).host
        try:
            return str(ip_address(host))
        except ValueError:
            return host.partition(".")[0]


class ServerClient:
    """Requests to one server over kept connections. Close it with `aclose`."""

    def __init__(
        self, address: ServerAddress, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self.address = address
        self._sleep = sleep
        self._authority: bytes | None = None
        self._connections: httpx2.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._connections is not None:
            await self._connections.aclose()
            self._connections = None

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The decoded JSON answer. Raises ServerUnavailable and ServerRefused, as all of these do."""
        return await self._ask("GET", path, query)

    async def get_once(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """As `get`, in one attempt: for whoever wants to notice that the server went away."""
        return await self._attempt("GET", path, query, None)

    async def get_if_found(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """As `get`, and None for a 404."""
        try:
            return await self.get(path, query)
        except ServerRefused as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def put(self, path: str, body: object, query: Mapping[str, str] | None = None) -> Any:
        """Send `body` as JSON and decode the answer."""
        return await self._ask("PUT", path, query, json.dumps(body).encode())

    async def delete(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Delete what `path` names and decode the answer."""
        return await self._ask("DELETE", path, query)

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None, body: bytes | None = None
    ) -> Any:
        for pause in PAUSES_S:
            try:
                return await self._attempt(method, path, query, body)
            except ServerUnavailable:
                await self._sleep(pause)
        return await self._attempt(method, path, query, body)

    async def _attempt(
        self, method: str, path: str, query: Mapping[str, str] | None, body: bytes | None
    ) -> Any:
        try:
            connections = await self._connected()
            async with connections.stream(
                method, path, params=query, content=body, headers=self._headers()
            ) as answer:
                content = await self._content(answer)
        except (httpx2.HTTPError, OSError) as error:
            raise self._unavailable(reason_of(error)) from error
        if answer.status_code in AWAY_STATUSES:
            raise self._unavailable(_text(content) or f"HTTP status {answer.status_code}")
        if not answer.is_success:
            raise ServerRefused(answer.status_code, _text(content))
        try:
            return msgspec.json.decode(content) if content.strip() else None
        except msgspec.DecodeError as error:
            raise self._unavailable(f"the answer to {method} {path} is not JSON") from error

    async def _content(self, answer: httpx2.Response) -> bytes:
        content = bytearray()
        async for piece in answer.aiter_bytes():
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise self._unavailable(f"an answer is larger than {MAX_ANSWER_BYTES} bytes")
        return bytes(content)

    async def _connected(self) -> httpx2.AsyncClient:
        """Connections that trust what the CA file holds now. Raises OSError for a file that can't be read."""
        authority = self.address.ca_file.read_bytes() if self.address.ca_file else None
        if self._connections is None or authority != self._authority:
            await self.aclose()
            self._connections = httpx2.AsyncClient(
                base_url=self.address.url,
                verify=_tls(authority),
                timeout=TIMEOUT_S,
                trust_env=False,
            )
            self._authority = authority
        return self._connections

    def _headers(self) -> dict[str, str]:
        if self.address.token_file is None:
            return {}
        return {"X-Consul-Token": self.address.token_file.read_text().strip()}

    def _unavailable(self, reason: str) -> ServerUnavailable:
        return ServerUnavailable(f"{self.address.name}: {reason}")


def _tls(authority: bytes | None) -> ssl.SSLContext:
    """Raises OSError (ssl.SSLError) for a file without certificates."""
    return ssl.create_default_context(cadata=authority.decode("ascii", "replace") if authority else None)


def reason_of(error: BaseException) -> str:
    """Why there was no answer, in a few words: the innermost cause that says something."""
    for cause in reversed(tuple(_causes(error))):
        match cause:
            case ssl.SSLCertVerificationError():
                return refusal(cause)
            case ssl.SSLError():
                return f"TLS failed: {(cause.reason or str(cause)).lower().replace('_', ' ')}"
            case socket.gaierror():
                return "its name does not resolve; no server runs, or cluster DNS is away"
            case TimeoutError() | httpx2.TimeoutException():
                return f"no answer within {TIMEOUT_S:.0f} s"
            case OSError() if cause.filename and cause.strerror:
                return f"{cause.filename}: {cause.strerror.lower()}"
            case OSError() if cause.errno:
                return _system_words(cause.errno)
    return str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):
            yield from _causes(error.exceptions[0])
        error = error.__cause__ or error.__context__


def _system_words(number: int) -> str:
    """An errno in the system's words, `connection refused` for one."""
    return os.strerror(number).lower()


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").strip()[:_LONGEST_TEXT]
