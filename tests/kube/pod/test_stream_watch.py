"""When a credential counts as lost: looks are counted, so that no time passes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import pytest

from pellucid.dataplane.envoy_admin import EnvoyAdmin
from pellucid.kube.pod.stream_watch import credential_is_lost

GAUGE = b"control_plane.connected_state: %d\n"


class Scene:
    """An admin interface that tells one state at each look, and a server that is asked in between."""

    def __init__(self, states: Sequence[int | None], refusals: Sequence[bool]) -> None:
        """None: the admin interface does not answer. After what is listed: no stream, and a refusal."""
        self._states: Iterator[int | None] = chain(states, repeat(0))
        self._refusals = chain(refusals, repeat(True))
        self.looks = self.questions = self.admin_port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        state = next(self._states)
        if state is not None:
            body = GAUGE % state
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    async def is_refused(self) -> bool:
        self.questions += 1
        return next(self._refusals)

    async def sleep(self, _: float) -> None:
        self.looks += 1
        assert self.looks < 100, "it never counts as lost"

    async def dial(self) -> socket.socket:
        dialling = socket.socket()
        dialling.setblocking(False)
        await asyncio.get_running_loop().sock_connect(dialling, ("127.0.0.1", self.admin_port))
        return dialling


@pytest.mark.parametrize(
    ("states", "refusals", "looks", "questions"),
    [
        ((), (), 1, 1),
        ((1, 1, 1), (), 4, 1),
        ((None, None), (), 3, 1),
        ((0, 0, 1), (False,) * 9, 11, 10),
    ],
    ids=[
        "no stream, and refused",
        "with a stream the server is not asked",
        "an Envoy that does not answer is no proof",
        "no stream alone is no proof, however long",
    ],
)
async def test_a_credential_is_lost_when_the_server_says_so_to_an_envoy_without_stream(
    states: Sequence[int | None], refusals: Sequence[bool], looks: int, questions: int
) -> None:
    scene = Scene(states, refusals)
    async with await asyncio.start_server(scene.answer, "127.0.0.1", 0) as admin:
        scene.admin_port = admin.sockets[0].getsockname()[1]
        await credential_is_lost(EnvoyAdmin(scene.dial), scene.is_refused, scene.sleep)
    assert (scene.looks, scene.questions) == (looks, questions)
