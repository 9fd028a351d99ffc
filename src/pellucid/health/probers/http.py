"""HTTP checks: the status code is the status.

2xx is passing, 429 warning, anything else critical. Each probe uses a connection of its own, follows up to
ten redirects, and reads no more of a body than it may keep many times over.
Source: Consul 1.10 docs, "Checks", "HTTP"; Go standard library, package `net/http`, `Client`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httptools
import msgspec

from pellucid.health.output import Tail
from pellucid.health.probers.dialing import client_tls, connect, describe_failure, timeout_of
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckDefinition, CheckStatus
from pellucid.model.go_text import quote

USER_AGENT = "Consul Health Check"
ACCEPT = "text/plain, text/*, */*"
MAX_RESPONSE_BYTES = 1 << 20
MAX_REDIRECTS = 10
READ_BYTES = 65536

_DEFAULT_PORTS = {"http": 80, "https": 443}
_KEEP_METHOD = frozenset({307, 308})
_TO_GET = frozenset({301, 302, 303})
_BODILESS = frozenset({"GET", "HEAD"})


async def probe_http(definition: CheckDefinition) -> CheckResult:
    """Request `http` with the definition's method, headers and body."""
    method = definition.method or "GET"
    request = _Request(method, definition.http, definition.body)
    try:
        async with asyncio.timeout(timeout_of(definition)):
            response = await _follow(request, definition)
    except _ExchangeError as error:
        return CheckResult(CheckStatus.CRITICAL, _failure(method, error.url, str(error)))
    except TimeoutError:
        reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return CheckResult(CheckStatus.CRITICAL, _failure(method, definition.http, reason))
    output = f"HTTP {method} {definition.http}: {response.status_line} Output: {response.body.text}"
    return CheckResult(_status_of(response.code), output)


class _Request(msgspec.Struct, frozen=True):
    method: str
    url: str
    body: str


class _ExchangeError(Exception):
    """No response came; `str()` says why."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(reason)
        self.url = url


class _Response:
    """Collects one response; its methods are called by the parser."""

    def __init__(self, body_size: int) -> None:
        self.code = 0
        self.reason = ""
        self.location = ""
        self.body = Tail(body_size)
        self.has_headers = False
        self.is_complete = False

    @property
    def status_line(self) -> str:
        return f"{self.code} {self.reason}".rstrip()

    def on_status(self, reason: bytes) -> None:
        self.reason += reason.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.has_headers = True

    def on_body(self, data: bytes) -> None:
        self.body.write(data)

    def on_message_complete(self) -> None:
        self.is_complete = True


async def _follow(request: _Request, definition: CheckDefinition) -> _Response:
    """The response at the end of the redirects."""
    for _ in range(MAX_REDIRECTS):
        response = await _exchange(request, definition)
        if not response.location or response.code not in _KEEP_METHOD | _TO_GET:
            return response
        url = urljoin(request.url, response.location)
        if response.code in _TO_GET and request.method not in _BODILESS:
            request = _Request("GET", url, "")
        else:
            request = _Request(request.method, url, request.body)
    raise _ExchangeError(request.url, f"stopped after {MAX_REDIRECTS} redirects")


async def _exchange(request: _Request, definition: CheckDefinition) -> _Response:
    """One request on a connection of its own."""
    url = _parsed(request.url)
    host, port = url.hostname or "", url.port or _DEFAULT_PORTS[url.scheme]
    context = client_tls(definition.tls_skip_verify) if url.scheme == "https" else None
    head = _head(request, url, definition)
    try:
        reader, writer = await connect(host, port, context, definition.tls_server_name)
    except OSError as error:
        raise _ExchangeError(request.url, describe_failure(error, host, port)) from error
    try:
        writer.write(head + request.body.encode())
        return await _read_response(reader, request, definition.output_max_size)
    except OSError as error:
        raise _ExchangeError(request.url, f"read tcp: {error.strerror or error}".lower()) from error
    finally:
        writer.close()


async def _read_response(reader: asyncio.StreamReader, request: _Request, body_size: int) -> _Response:
    response = _Response(body_size)
    parser = httptools.HttpResponseParser(response)
    received = 0
    try:
        while not response.is_complete and received < MAX_RESPONSE_BYTES:
            chunk = await reader.read(READ_BYTES)
            if not chunk:
                break
            received += len(chunk)
            parser.feed_data(chunk)
            response.code = parser.get_status_code()
            if request.method == "HEAD" and response.has_headers:
                break
    except httptools.HttpParserError as error:
        raise _ExchangeError(
            request.url, f"net/http: HTTP/1.x transport connection broken: {error}"
        ) from error
    if not response.has_headers:
        raise _ExchangeError(request.url, "EOF")
    return response


def _head(request: _Request, url: SplitResult, definition: CheckDefinition) -> bytes:
    """The request line and headers. Raises _ExchangeError when one of them can't be written."""
    given = {name.title(): values for name, values in (definition.header or {}).items()}
    authority = url.netloc.rpartition("@")[2]
    headers: dict[str, Iterable[str]] = {
        "Host": (authority,),
        "User-Agent": (USER_AGENT,),
        "Accept": (ACCEPT,),
        **_authorization(url),
        **{name: values for name, values in given.items() if any(values)},
        "Connection": ("close",),
    }
    if request.body or request.method not in _BODILESS:
        headers["Content-Length"] = (str(len(request.body.encode())),)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, values in headers.items() for value in values]
    for line in lines:
        if "\r" in line or "\n" in line:
            raise _ExchangeError(request.url, f"net/http: invalid header field {quote(line)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def _authorization(url: SplitResult) -> dict[str, Iterable[str]]:
    if url.username is None:
        return {}
    credentials = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return {"Authorization": (f"Basic {base64.b64encode(credentials).decode()}",)}


def _parsed(url: str) -> SplitResult:
    """A URL's parts. Raises _ExchangeError when it isn't an HTTP URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _ExchangeError(url, f"parse {quote(url)}: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise _ExchangeError(url, f"unsupported protocol scheme {quote(parts.scheme)}")
    if not parts.hostname:
        raise _ExchangeError(url, "http: no Host in request URL")
    if any(character <= " " for character in url):
        raise _ExchangeError(url, f"parse {quote(url)}: net/url: invalid character in URL")
    return parts


def _status_of(code: int) -> CheckStatus:
    if 200 <= code <= 299:
        return CheckStatus.PASSING
    return CheckStatus.WARNING if code == 429 else CheckStatus.CRITICAL


def _failure(method: str, url: str, reason: str) -> str:
    """An error as Go's client words it: `Get "http://10.0.0.1/": ...`."""
    return f"{method.capitalize()} {quote(url)}: {reason}"
