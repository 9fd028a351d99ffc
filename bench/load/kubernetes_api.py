"""Requests to a Kubernetes API over TLS, and watchers that wait for one change."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import time
from typing import Any

from bench.server import BenchError

Api = tuple[str, int, ssl.SSLContext]
_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Connection:
    """One keep-alive connection."""

    def __init__(self, api: Api) -> None:
        host, port, context = api
        self._connection = http.client.HTTPSConnection(host, port, context=context, timeout=60)

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """The answer's body. Raises BenchError unless it is a success."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise BenchError(f"{method} {path}: {answer.status} {data[:300].decode(errors='replace')}")
        return data

    def per_second(self, path: str, seconds: float) -> float:
        """How many GETs of a path it gets answered, one after the other."""
        count, began = 0, time.monotonic()
        while time.monotonic() - began < seconds:
            self.request("GET", path)
            count += 1
        return count / (time.monotonic() - began)


def config_map(name: str, value: str = "") -> dict[str, Any]:
    """A small object."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"bench": "yes"}},
        "data": {"value": value},
    }


async def fan_out(api: Api, watchers: int, rounds: int) -> list[float]:
    """Milliseconds from a write's answer until the last of the watchers has it, one for each round."""
    host, port, context = api
    streams = [await asyncio.open_connection(host, port, ssl=context) for _ in range(watchers)]
    for _, writer in streams:
        request = f"GET {_CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Dwatched HTTP/1.1"
        writer.write(f"{request}\r\nHost: {host}\r\nAccept: application/json\r\n\r\n".encode())
    connection = Connection(api)
    connection.request("POST", _CONFIG_MAPS, config_map("watched"))
    await asyncio.gather(*(_until(reader, b'"watched"') for reader, _ in streams))
    taken = []
    for number in range(rounds):
        mark = f"round-{number}-"
        waiting = [asyncio.create_task(_until(reader, mark.encode())) for reader, _ in streams]
        await asyncio.sleep(0)
        changed = config_map("watched", mark)
        await asyncio.to_thread(connection.request, "PUT", f"{_CONFIG_MAPS}/watched", changed)
        began = time.monotonic()
        await asyncio.gather(*waiting)
        taken.append((time.monotonic() - began) * 1000)
    for _, writer in streams:
        writer.close()
    return taken


async def _until(reader: asyncio.StreamReader, wanted: bytes) -> None:
    seen = b""
    while wanted not in seen:
        piece = await reader.read(65536)
        if not piece:
            raise BenchError("a watch ended")
        seen = seen[-64:] + piece
