"""HTTP requests at a constant rate, whether or not answers come: an open loop.

Run as `python -m bench.load.open_loop HOST:PORT CONNECTIONS RATE SECONDS`; prints `{"latencies": [ms, …]}`.
A latency runs from the moment a request was due, so that time spent waiting behind a late answer counts.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import deque

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
ANSWER_END = b"x" * 1024
PATIENCE_SECONDS = 5.0
WARM_UP_SECONDS = 0.5


class Connection:
    """One keep-alive connection, with the requests that are due on it; the first of them is under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due: deque[float] = deque()
        self._received = b""

    def fileno(self) -> int:
        """For `select`."""
        return self.socket.fileno()

    def request(self, due: float) -> None:
        """Send a request, now or behind those before it."""
        self.due.append(due)
        if len(self.due) == 1:
            self.socket.sendall(REQUEST)

    def receive(self) -> float | None:
        """Take what came; when the answered request was due, if that was all of an answer."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the connection was closed")
        self._received += data
        if not self._received.endswith(ANSWER_END):
            return None
        self._received = b""
        due = self.due.popleft()
        if self.due:
            self.socket.sendall(REQUEST)
        return due


def load(address: tuple[str, int], connections: int, rate: float, seconds: float) -> list[float]:
    """The latency of every request after the warm-up, in ms. Raises OSError, TimeoutError."""
    pool = [Connection(address) for _ in range(connections)]
    began = time.monotonic()
    total = int(rate * (seconds + WARM_UP_SECONDS))
    sent = answered = 0
    latencies = []
    while answered < total:
        now = time.monotonic()
        while sent < total and began + sent / rate <= now:
            pool[sent % connections].request(began + sent / rate)
            sent += 1
        if now > began + total / rate + PATIENCE_SECONDS:
            raise TimeoutError(f"{sent - answered} requests were never answered")
        wait = began + sent / rate - now if sent < total else PATIENCE_SECONDS
        for connection in select.select(pool, (), (), max(0.0, wait))[0]:
            due = connection.receive()
            if due is not None:
                answered += 1
                if due >= began + WARM_UP_SECONDS:
                    latencies.append((time.monotonic() - due) * 1000)
    for connection in pool:
        connection.socket.close()
    return latencies


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    arguments = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    print(json.dumps({"latencies": load((host, int(port)), *arguments)}))
