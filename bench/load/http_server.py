"""The application at the end of the data path: answers every request with 1 KB, at once.

Run as `python -m bench.load.http_server HOST PORT`; prints `{"listening": port}`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import uvloop

BODY = b"x" * 1024
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nContent-Type: text/plain\r\n\r\n" + BODY


class Answering(asyncio.Protocol):
    """One connection; requests have no body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        if requests:
            self._transport.write(ANSWER * len(requests))


async def main(host: str, port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Answering, host, port)
    print(json.dumps({"listening": port}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
