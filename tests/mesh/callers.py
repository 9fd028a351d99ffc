"""Callers with an identity of their own, who need no sidecar: what a compromised source could be."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from http.client import HTTPException, HTTPResponse

from tests.mesh.mesh import PATIENCE_S


class Caller:
    """A mutual-TLS connection to a sidecar's public listener, straight past the caller's own sidecar."""

    def __init__(self, identity: ssl.SSLContext, port: int) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._connection = identity.wrap_socket(plain)

    def say(self, text: bytes) -> bytes:
        """Send something and read one answer; empty if the connection is closed."""
        with suppress(ConnectionError, ssl.SSLError):
            self._connection.sendall(text)
            return self._connection.recv(65_536)
        return b""

    def get(self, path: str = "/") -> int:
        """The status of a request on the same connection; 0 if it is closed."""
        with suppress(ConnectionError, ssl.SSLError, HTTPException):
            self._connection.sendall(f"GET {path} HTTP/1.1\r\nHost: app\r\n\r\n".encode())
            response = HTTPResponse(self._connection)
            response.begin()
            if not response.chunked:
                response.read()
            return response.status
        return 0

    def read(self) -> bytes:
        """What comes next; empty when the connection is closed."""
        try:
            return self._connection.recv(65_536)
        except (ConnectionError, ssl.SSLError):
            return b""

    def ended_after(self, began: float) -> float:
        """Read until the other side closes; the seconds from `began` (monotonic) until then."""
        while self.read():
            pass
        return time.monotonic() - began

    def close(self) -> None:
        self._connection.close()


class Kept:
    """A connection to an echoing service through the caller's own sidecar, kept open."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        assert self.is_open()

    def is_open(self) -> bool:
        """Whether a word still comes back."""
        with suppress(ConnectionError):
            self._connection.sendall(b"word")
            return self._connection.recv(4) == b"word"
        return False


def is_let_in(identity: ssl.SSLContext, port: int) -> bool:
    """Whether a new connection to an echoing service gets an answer."""
    caller = Caller(identity, port)
    try:
        return caller.say(b"hello") == b"hello"
    finally:
        caller.close()
