"""The API's listener: TLS, one task per connection, an orderly end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

from pellucid.localkube.http.connection import MAX_HEAD, Handler, serve_connection


def tls_context(certificate: Path, key: Path, client_authority: Path) -> ssl.SSLContext:
    """TLS with the server's certificate; clients may show one of the authority's. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


class ApiServer:
    """Serves a handler on one or more addresses."""

    def __init__(self, handler: Handler, context: ssl.SSLContext | None) -> None:
        """context: None serves in the clear, which only a test on loopback should want."""
        self._handler = handler
        self._context = context
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._closing = False

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def listen(self, host: str, port: int) -> int:
        """Listen on an address too; answers the port. Raises OSError."""
        server = await asyncio.start_server(
            self._accept, host, port, ssl=self._context, limit=MAX_HEAD, backlog=512
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def listen_on(self, listener: socket.socket) -> None:
        """Listen on a socket that listens already, of whichever network namespace."""
        server = await asyncio.start_server(self._accept, sock=listener, ssl=self._context, limit=MAX_HEAD)
        self._servers.append(server)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections[task] = writer
        try:
            await serve_connection(reader, writer, self._handler)
        except asyncio.CancelledError:
            if not self._closing:
                raise
        finally:
            if task is not None:
                self._connections.pop(task, None)

    async def close(self) -> None:
        """Listen no more and end every connection, without waiting for anybody's goodbye."""
        self._closing = True
        for server in self._servers:
            server.close()
        connections = dict(self._connections)
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*connections, return_exceptions=True)
