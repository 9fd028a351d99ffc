"""When a credential counts as lost: looks are counted, so that no time passes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import pytest

from pellucid.dataplane.envoy_admin import EnvoyAdmin
from pellucid.kube.pod.settings import Server
from pellucid.kube.pod.stream_watch import LOST_LOOKS, credential_is_lost

GAUGE = b"control_plane.connected_state: %d\n"


class Scene:
    """An admin interface that tells one state at each look, and the server's port."""

    def __init__(self, states: Sequence[int | None], server_port: int) -> None:
        """None: the admin interface does not answer."""
        self._states: Iterator[int | None] = chain(states, repeat(0))
        self.looks = 0
        self.server = Server("127.0.0.1", 1, "127.0.0.1", server_port, "")
        self.admin_port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        state = next(self._states)
        if state is not None:
            body = GAUGE % state
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async def sleep(self, _: float) -> None:
        self.looks += 1
        assert self.looks < 100, "it never counts as lost"

    async def dial(self) -> socket.socket:
        dialling = socket.socket()
        dialling.setblocking(False)
        await asyncio.get_running_loop().sock_connect(dialling, ("127.0.0.1", self.admin_port))
        return dialling


async def looks_until_lost(states: Sequence[int | None], server_port: int) -> int:
    scene = Scene(states, server_port)
    async with await asyncio.start_server(scene.answer, "127.0.0.1", 0) as admin:
        scene.admin_port = admin.sockets[0].getsockname()[1]
        await credential_is_lost(EnvoyAdmin(scene.dial), scene.server, scene.sleep)
    return scene.looks


@pytest.fixture
def server_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("states", "looks"),
    [
        ((), LOST_LOOKS),
        ((1, 1, 1), LOST_LOOKS + 3),
        ((*(0,) * (LOST_LOOKS - 1), 1), 2 * LOST_LOOKS),
        ((None, None), LOST_LOOKS + 2),
    ],
    ids=[
        "no stream",
        "later",
        "a stream between resets the count",
        "an Envoy that does not answer is no proof",
    ],
)
async def test_only_looks_in_a_row_without_a_stream_count(
    states: Sequence[int | None], looks: int, server_port: int
) -> None:
    assert await looks_until_lost(states, server_port) == looks


async def test_a_server_that_is_away_is_no_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(AssertionError, match="never counts as lost"):
        await looks_until_lost((), port)
