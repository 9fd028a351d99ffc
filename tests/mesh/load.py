"""Requests one after another, for as long as something happens to the mesh."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.mesh.mesh import PATIENCE_S, eventually


class Load:
    """Counts requests, and keeps the errors of those that failed."""

    def __init__(self, request: Callable[[], None]) -> None:
        self._request = request
        self._stop = threading.Event()
        self.made = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self._request()
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(f"request {self.made}: {type(error).__name__}: {error}")
            self.made += 1

    def goes_on(self, requests: int = 20) -> None:
        """Returns when so many more requests were made."""
        enough = self.made + requests
        eventually(lambda: self.made >= enough or self.failures, f"{requests} more requests")

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def load(request: Callable[[], None]) -> Iterator[Load]:
    """Requests for as long as the block lasts; every one of them has to succeed."""
    running = Load(request)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        running.goes_on()
        yield running
        running.goes_on()
    finally:
        running.stop()
        thread.join()
    assert running.failures == []


def echo_on(port: int) -> Callable[[], None]:
    """A word to an echoing service, on a connection of its own each time."""

    def request() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.sendall(b"word")
            assert connection.recv(4) == b"word", "closed"

    return request


def get_on(port: int) -> Callable[[], None]:
    """An HTTP request, on a connection of its own each time."""

    def request() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        connection.request("GET", "/")
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert (response.status, body) == (200, b"hello"), f"{response.status} {body!r}"

    return request
