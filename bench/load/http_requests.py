"""Writes over HTTP as fast as answers come: one request outstanding on each of some keep-alive connections.

Run as `python -m bench.load.http_requests HOST:PORT CONNECTIONS SECONDS`. It registers services with a
check, each with an id of its own, and prints `{"requests": n, "seconds": s, "errors": n}`.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import time
from typing import cast

NAMES = 100
"""Services the instances are of."""


def request(number: int) -> bytes:
    """A registration with an id of its own."""
    body = json.dumps(
        {
            "ID": f"instance-{os.getpid()}-{number}",
            "Name": f"registered-{number % NAMES}",
            "Address": "10.0.0.1",
            "Port": 8080,
            "Tags": ["v1"],
            "Meta": {"version": "1"},
            "Check": {"TTL": "1h", "Status": "passing"},
        }
    ).encode()
    return (
        b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    ) + body


def is_complete(answer: bytes) -> bool:
    """Whether an answer has all of its body."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    return body.endswith(b"0\r\n\r\n")


def load(address: tuple[str, int], connections: int, seconds: float) -> tuple[int, float, int]:
    """Requests answered, in how many seconds, and how many of them not with a 200."""
    waiting = selectors.DefaultSelector()
    received: dict[socket.socket, bytes] = {}
    sent = answered = errors = 0
    for _ in range(connections):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting.register(connection, selectors.EVENT_READ)
        received[connection] = b""
    began = time.monotonic()
    for connection in received:
        connection.sendall(request(sent))
        sent += 1
    while answered < sent:
        for key, _ in waiting.select():
            connection = cast(socket.socket, key.fileobj)
            data = connection.recv(65_536)
            if not data:
                raise ConnectionError("the server closed the connection")
            received[connection] += data
            if not is_complete(received[connection]):
                continue
            errors += not received[connection].startswith(b"HTTP/1.1 200")
            received[connection] = b""
            answered += 1
            if time.monotonic() - began < seconds:
                connection.sendall(request(sent))
                sent += 1
    elapsed = time.monotonic() - began
    for connection in received:
        connection.close()
    return answered, elapsed, errors


if __name__ == "__main__":
    host, _, port = sys.argv[1].rpartition(":")
    count, took, bad = load((host, int(port)), int(sys.argv[2]), float(sys.argv[3]))
    print(json.dumps({"requests": count, "seconds": took, "errors": bad}))
