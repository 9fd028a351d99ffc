"""Waiting for the sidecar: as long as it says that something is missing, and not for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from pellucid.kube.pod.readiness import until_ready
from pellucid.kube.pod.status_server import Answer, serve

WAITING = Answer(503, "waiting for the login\n")


class Sidecar:
    """Says the next of its answers; the last again and again."""

    def __init__(self) -> None:
        self.answers = [WAITING]
        self.port = 0

    async def ready(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def sidecar() -> AsyncIterator[Sidecar]:
    sidecar = Sidecar()
    server = await serve("127.0.0.1", 0, {"/ready": sidecar.ready})
    sidecar.port = server.sockets[0].getsockname()[1]
    yield sidecar
    server.close()


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


async def test_it_waits_until_the_sidecar_is_ready(sidecar: Sidecar) -> None:
    sidecar.answers = [WAITING, WAITING, Answer(200, "ready\n")]
    assert await until_ready(sidecar.port, 60, at_once) == ""
    assert len(sidecar.answers) == 1


async def test_in_the_end_it_says_what_the_sidecar_waits_for(sidecar: Sidecar) -> None:
    assert await until_ready(sidecar.port, 1, at_once) == "waiting for the login"


async def test_a_sidecar_that_is_not_there_is_not_ready() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert await until_ready(port, 0, at_once) == "the sidecar does not answer: connection refused"
