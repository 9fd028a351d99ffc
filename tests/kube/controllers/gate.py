"""A way to a server that can be shut, or fall silent: a relay of bytes between clients and the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Gate:
    """Listens on a port of its own while it is open; shutting it cuts every connection off."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self._relays = asyncio.Event()
        self._relays.set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._streams):
            writer.transport.abort()

    def fall_silent(self) -> None:
        """Keep connections, and take new ones, but hold what is said on them: as behind a broken link."""
        self._relays.clear()

    def speak(self) -> None:
        """Pass on what was held."""
        self._relays.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        self._streams |= {writer, inner_writer}
        await asyncio.gather(self._relay(reader, inner_writer), self._relay(inner_reader, writer))
        self._streams -= {writer, inner_writer}

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65_536):
                await self._relays.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def gate_to(port: int) -> AsyncIterator[Gate]:
    """An open gate to a port of this machine."""
    gate = Gate(port)
    await gate.open()
    try:
        yield gate
    finally:
        gate.shut()
