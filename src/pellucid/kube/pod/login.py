"""Proving whose pod this is: the kubelet's token for the credential of the pod's own registration.

The standard library's client, in a thread: a sidecar is in every pod, so it imports little.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from pellucid.kube.pod.settings import Server

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60
_ANSWER_WITHIN_SECONDS = WAIT_SECONDS + 15.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0
_MOST_BYTES = 1 << 20


class Instance(msgspec.Struct, frozen=True, rename="pascal"):
    """A registered instance of this pod, and what proves that we are it."""

    id: str = msgspec.field(name="ID")
    name: str
    kind: str
    credential: str

    def __repr__(self) -> str:
        """Without the credential."""
        return f"Instance({self.id})"


class Registration(msgspec.Struct, frozen=True, rename="pascal"):
    """What the pod is registered as."""

    node: str
    services: tuple[Instance, ...]

    @property
    def sidecar(self) -> Instance:
        """The proxy among the instances."""
        return next(instance for instance in self.services if instance.kind)

    @property
    def service(self) -> str:
        """The name of the service that the sidecar stands for."""
        return next((instance.name for instance in self.services if not instance.kind), self.sidecar.name)


class NotLoggedIn(Exception):
    """The server gave no credential; the message says why."""


def login(server: Server, token_file: Path) -> Registration:
    """Ask once; the server waits a while for the pod's registration. Raises NotLoggedIn."""
    context = ssl.create_default_context(cadata=server.authority_pem)
    connection = http.client.HTTPSConnection(
        server.host, server.port, context=context, timeout=_ANSWER_WITHIN_SECONDS
    )
    try:
        body = msgspec.json.encode({"BearerToken": token_file.read_text().strip()})
        connection.request("PUT", f"/v1/pellucid/login?wait={WAIT_SECONDS}s", body)
        answer = connection.getresponse()
        said = answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException) as problem:
        raise NotLoggedIn(f"the server {server.host}:{server.port} does not answer: {problem}") from problem
    finally:
        connection.close()
    if answer.status != 200:
        raise NotLoggedIn(f"the server refuses: {said.decode(errors='replace').strip()} ({answer.status})")
    try:
        return msgspec.json.decode(said, type=Registration)
    except msgspec.MsgspecError as problem:
        raise NotLoggedIn(f"the server's answer is not understood: {problem}") from problem


async def logged_in(
    server: Server,
    token_file: Path,
    waits: Callable[[str], None],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Registration:
    """Ask until there is an answer. waits: told each time why it is not there yet."""
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await asyncio.to_thread(login, server, token_file)
        except NotLoggedIn as reason:
            waits(str(reason))
        await sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
