from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pellucid.dataplane.namespace.relay import only_for_user, relay, to_address

MEGABYTES = os.urandom(1 << 20) * 4


@asynccontextmanager
async def echo_after_end() -> AsyncIterator[str]:
    """Sends everything back, once the sender has finished."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_bytes_go_both_ways_and_a_half_closed_connection_stays_open_the_other_way() -> None:
    async with echo_after_end() as address:
        listener = socket.create_server(("127.0.0.1", 0))
        where = listener.getsockname()
        async with await relay(listener, to_address(address)):
            reader, writer = await asyncio.open_connection(*where)
            writer.write(MEGABYTES)
            writer.write_eof()
            assert await reader.read() == MEGABYTES
            writer.close()


async def test_a_connection_that_leads_nowhere_is_reset() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    where = listener.getsockname()
    async with await relay(listener, to_address("127.0.0.1:1")):
        reader, writer = await asyncio.open_connection(*where)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.mark.parametrize("welcome", [True, False])
async def test_a_relay_for_one_user_refuses_the_others(tmp_path: Path, welcome: bool) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "relay.sock"))
    listener.listen()
    uid = os.getuid() if welcome else os.getuid() + 1
    async with echo_after_end() as address, await relay(listener, only_for_user(uid, to_address(address))):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "relay.sock")
        writer.write(b"hello")
        writer.write_eof()
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b""
        assert answer == (b"hello" if welcome else b"")
        writer.close()
