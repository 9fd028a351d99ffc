"""A real Envoy as the sidecar of one service, the application behind it, and callers with identities."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from pellucid.dataplane.envoy_binary import envoy_command
from tests.xds.envoy import ENVOY, bootstrap
from tests.xds.mesh import Mesh


def free_port() -> int:
    """A port of the loopback address that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def envoy(
    server: int | str, proxy_id: str, directory: Path, inside: tuple[str, ...] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Envoy, started as `pellucid` starts it, for as long as the context lasts.

    server: where its configuration comes from. inside: the command that puts it into a namespace.
    """
    config = directory / f"{proxy_id}.pb"
    config.write_bytes(bootstrap(server, proxy_id).SerializeToString())
    admin = ("--admin-address-path", str(directory / f"{proxy_id}.admin"))
    command = envoy_command(ENVOY, str(config), ("--concurrency", "2", "-l", "error", *admin))
    process = await asyncio.create_subprocess_exec(*inside, *command, stdout=sys.stderr)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


def admin_address(proxy_id: str, directory: Path) -> str:
    """Where the admin page of an Envoy is that was started in this directory."""
    return (directory / f"{proxy_id}.admin").read_text()


class Caller:
    """A peer with the certificate of a service, as another sidecar would be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, mesh: Mesh, name: str, port: int, directory: Path) -> Caller:
        """Connect as this service; waits until somebody listens."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        certificate, key = mesh.client_files(name, directory)
        context.load_cert_chain(certificate, key)
        while True:
            try:
                return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))
            except (ConnectionError, ssl.SSLError):
                await asyncio.sleep(0.02)

    async def say(self, text: bytes) -> bytes:
        """Send something and read one answer; empty if the connection is or gets closed."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(text)
            await self.writer.drain()
        return await self.read()

    async def read(self) -> bytes:
        """What comes next; empty when the connection is closed."""
        try:
            return await self.reader.read(65_536)
        except (ConnectionError, ssl.SSLError):
            return b""

    async def get(self, path: str) -> int:
        """A request on the same connection; the status, 0 if the connection is closed."""
        answer = await self.say(f"GET {path} HTTP/1.1\r\nhost: app\r\n\r\n".encode())
        return int(answer.split()[1]) if answer else 0

    async def ended(self) -> None:
        """Returns when the other side has closed the connection."""
        while await self.read():
            pass

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An application that speaks first, as a database does, and then repeats what it hears."""
    writer.write(b"welcome")
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An application that answers `ok`, and to `/stream` with a body that never ends."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            if b"/stream" not in request:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"5\r\nhello\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
    writer.close()
