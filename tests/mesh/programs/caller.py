"""Calls others as it is told on standard input, one JSON list a line. Knows nothing of any mesh."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Iterator
from typing import Any

import grpc

TIMEOUT_S = 10.0
connections: dict[str, socket.socket] = {}


def nothing() -> None:
    """Says that it runs."""


def resolve(name: str) -> list[str]:
    """The addresses of a name, both families."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return sorted({str(entry[4][0]) for entry in found})


def get(host: str, port: int, path: str = "/") -> list[Any]:
    """Status and body of an HTTP request on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return [response.status, response.read().decode()]
    finally:
        connection.close()


def echo(host: str, port: int, text: str) -> str:
    """What comes back on a connection of its own."""
    dial("once", host, port)
    try:
        return say("once", text)
    finally:
        connections.pop("once").close()


def dial(name: str, host: str, port: int) -> None:
    """Open a connection and keep it under a name."""
    connections[name] = socket.create_connection((host, port), timeout=TIMEOUT_S)


def say(name: str, text: str) -> str:
    """Send on a kept connection and read what comes back. Raises when it is closed."""
    connections[name].sendall(text.encode())
    heard = connections[name].recv(len(text.encode()))
    if not heard:
        raise ConnectionResetError("closed by the other side")
    return heard.decode()


def greet(target: str, names: list[str]) -> list[str]:
    """A streaming gRPC call: a greeting for each name, each sent when the one before was answered."""
    with grpc.insecure_channel(target) as channel:
        chat = channel.stream_stream("/hello.Greeter/Chat")
        waiting = iter(names)

        def requests() -> Iterator[bytes]:
            for name in waiting:
                yield name.encode()

        return [answer.decode() for answer in chat(requests(), timeout=TIMEOUT_S)]


def greet_once(target: str, name: str) -> str:
    """A unary gRPC call."""
    with grpc.insecure_channel(target) as channel:
        answer: bytes = channel.unary_unary("/hello.Greeter/Greet")(name.encode(), timeout=TIMEOUT_S)
        return answer.decode()


CALLS = {call.__name__: call for call in (nothing, resolve, get, echo, dial, say, greet, greet_once)}


def main() -> None:
    for number, line in enumerate(sys.stdin, 1):
        what, *arguments = json.loads(line)
        try:
            answer = {"value": CALLS[what](*arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(f"answer {number}", json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
