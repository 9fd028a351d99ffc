"""A small synchronous client for the agent's HTTP API, on the standard library's `http.client`.

It speaks http, https (own CA, client certificate, SNI) and http over a unix socket. Failures carry the
words that Consul's Go client prints, because people search for them and scripts match them. Answers are
limited in size and every wait in time. The token goes into a header and nowhere else.

httpx would do the same work at 100 ms of import time, which a command that runs for 70 ms cannot afford.
Source: Consul 1.10 api/api.go; Go's net/http and net error texts.
"""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from pellucid.cli.client_errors import UnexpectedStatus, Unreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from pellucid.cli.http_settings import HttpSettings

    Query = Mapping[str, str | list[str]]

TIMEOUT_S = 60.0
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
NOT_FOUND = 404
ADVICE_HEADER = "x-pellucid-advice"
"""What the agent wants to tell a person beside Consul's own words."""


@dataclass(frozen=True)
class Answer:
    """A successful answer: decoded JSON (None for an empty body) and headers, names in lower case."""

    value: Any
    headers: Mapping[str, str]


class ConsulClient:
    """Requests to one agent. Each request opens its own connection: a command makes one or two."""

    def __init__(self, settings: HttpSettings, notice: Callable[[str], None] | None = None) -> None:
        """notice: told what the agent adds to a success for people to know."""
        self._settings = settings
        self._notice = notice

    def get(self, path: str, query: Query | None = None) -> Any:
        """The decoded JSON answer. Raises UnexpectedStatus and Unreachable."""
        return self.ask("GET", path, query).value

    def get_if_found(self, path: str, query: Query | None = None) -> Any:
        """As `get`, and None for a 404."""
        try:
            return self.get(path, query)
        except UnexpectedStatus as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def put(self, path: str, body: Any = None, query: Query | None = None) -> Any:
        """Send `body` as JSON (nothing when it is None) and decode the answer, None when it is empty."""
        return self.ask("PUT", path, query, body).value

    def post(self, path: str, body: Any = None, query: Query | None = None) -> Any:
        """As `put`, with the method POST."""
        return self.ask("POST", path, query, body).value

    def delete(self, path: str, query: Query | None = None) -> Any:
        """As `put`, with the method DELETE and no body."""
        return self.ask("DELETE", path, query).value

    def ask(self, method: str, path: str, query: Query | None = None, body: Any = None) -> Answer:
        """One request, with the headers of its answer. Raises UnexpectedStatus and Unreachable."""
        target = quote(path, safe="/*:@-._~") + ("?" + urlencode(query, doseq=True) if query else "")
        payload = None if body is None else json.dumps(body).encode()
        response, text = self._exchange(method, target, payload)
        headers = {name.lower(): value for name, value in response.getheaders()}
        advice = headers.get(ADVICE_HEADER, "")
        if response.status != http.client.OK:
            raise UnexpectedStatus(response.status, text.strip(), advice)
        if advice and self._notice:
            self._notice(advice)
        if not text.strip():
            return Answer(None, headers)
        try:
            return Answer(json.loads(text), headers)
        except ValueError:
            raise Unreachable(
                f"{self._subject(method, target)}: the answer is not JSON; is this address a Consul HTTP API?"
            ) from None

    def _exchange(
        self, method: str, target: str, payload: bytes | None
    ) -> tuple[http.client.HTTPResponse, str]:
        """One request, its answer and the body. Raises Unreachable with Go's words."""
        connection: http.client.HTTPConnection | None = None
        try:
            connection = self._connection()
            connection.request(method, target, payload, self._headers(payload))
            response = connection.getresponse()
            content = response.read(MAX_RESPONSE_BYTES + 1)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            connected = connection is not None and bool(connection.sock)
            reason = _reason(error, self._settings, connected=connected)
            raise Unreachable(f"{self._subject(method, target)}: {reason}") from None
        finally:
            if connection is not None:
                connection.close()
        if len(content) > MAX_RESPONSE_BYTES:
            raise Unreachable(
                f"{self._subject(method, target)}: the answer is larger than {MAX_RESPONSE_BYTES} bytes"
            )
        return response, content.decode("utf-8", "replace")

    def _connection(self) -> http.client.HTTPConnection:
        settings = self._settings
        if settings.scheme == "unix":
            return _UnixConnection(settings.address)
        if settings.scheme == "https":
            return _TlsConnection(settings.address, _tls_context(settings), settings.tls_server_name)
        return http.client.HTTPConnection(settings.address, timeout=TIMEOUT_S)

    def _headers(self, payload: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        if self._settings.token:
            headers["X-Consul-Token"] = self._settings.token
        if self._settings.basic_auth:
            from base64 import b64encode

            headers["Authorization"] = "Basic " + b64encode(self._settings.basic_auth.encode()).decode()
        return headers

    def _subject(self, method: str, target: str) -> str:
        """What Go's client puts before every failure: `Put "http://127.0.0.1:8500/v1/config"`."""
        if self._settings.scheme == "unix":
            return f'{method.capitalize()} "http://unix{target}"'
        return f'{method.capitalize()} "{self._settings.scheme}://{self._settings.address}{target}"'


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(self.timeout)
        connected.connect(self._path)
        self.sock = connected


class _TlsConnection(http.client.HTTPSConnection):
    """An HTTPS connection whose expected server name may differ from the address dialled."""

    def __init__(self, address: str, context: ssl.SSLContext, server_name: str) -> None:
        super().__init__(address, timeout=TIMEOUT_S)
        self._tls_context = context
        self._server_name = server_name or self.host

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls_context.wrap_socket(self.sock, server_hostname=self._server_name)


def _tls_context(settings: HttpSettings) -> ssl.SSLContext:
    """The TLS side of the settings. Raises Unreachable when a certificate or key file is not usable."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None, capath=settings.ca_path or None)
    except OSError as error:
        named = settings.ca_file or settings.ca_path
        raise Unreachable(f"Error loading CA certificates from {named}: {_system_words(error)}") from None
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert:
        try:
            context.load_cert_chain(settings.client_cert, settings.client_key or None)
        except OSError as error:
            raise Unreachable(
                f"Error loading client certificate {settings.client_cert}: {_system_words(error)}"
            ) from None
    return context


def _reason(error: Exception, settings: HttpSettings, *, connected: bool) -> str:
    """Say in Go's words why no answer came."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return f"x509: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"tls: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError):
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    if isinstance(error, http.client.RemoteDisconnected):
        return "EOF"
    if isinstance(error, http.client.InvalidURL):
        return f"invalid address {settings.address!r}: use host:port"
    if isinstance(error, http.client.HTTPException):
        return f"malformed HTTP response: {error!r}"
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"dial tcp: lookup {settings.address.rpartition(':')[0]}: no such host"
    words = _system_words(error)
    if connected:
        return f"read tcp {settings.address}: read: {words}"
    if settings.scheme == "unix":
        return f"dial unix {settings.address}: connect: {words}"
    return f"dial tcp {settings.address}: connect: {words}"


def _system_words(error: Exception) -> str:
    """The system's own text for an errno, in lower case as Go prints it."""
    strerror = getattr(error, "strerror", None)
    return str(strerror or error).lower()
