"""Proving whose pod this is: the kubelet's token for the credential of the pod's own registration."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pellucid.dataplane.certificate_refusal import is_of_another_authority, refusal
from pellucid.dataplane.http_exchange import Ask, MalformedReplyError, reason
from pellucid.kube.pod.clock import clock_problem
from pellucid.kube.pod.server import NoAuthorityError, asked
from pellucid.kube.pod.settings import Server

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60
_ANSWER_WITHIN_SECONDS = WAIT_SECONDS + 15.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0


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


async def login(server: Server, token_file: Path) -> Registration:
    """Ask once; the server waits a while for the pod's registration. Raises NotLoggedIn."""
    where = f"the server {server.host}:{server.port}"
    try:
        body = msgspec.json.encode({"BearerToken": _token(token_file)})
        target = f"/v1/pellucid/login?wait={WAIT_SECONDS}s"
        reply = await asked(server, Ask("PUT", target, server.host, body=body), _ANSWER_WITHIN_SECONDS)
    except NoAuthorityError as problem:
        raise NotLoggedIn(str(problem)) from problem
    except TimeoutError:
        raise NotLoggedIn(f"{where} does not answer in time") from None
    except ssl.SSLCertVerificationError as problem:
        # What it trusts, a pod got when it was made; a server that has lost its volume is another to it.
        remedy = "; delete the pod: what made it makes another" if is_of_another_authority(problem) else ""
        raise NotLoggedIn(f"{where} is not trusted: {refusal(problem)}{remedy}") from problem
    except OSError as problem:
        raise NotLoggedIn(f"{where} does not answer: {reason(problem)}") from problem
    except MalformedReplyError as problem:
        raise NotLoggedIn(f"{where} is not understood: {problem}") from problem
    if reply.status != 200:
        raise NotLoggedIn(f"the server refuses: {reply.text.strip()} ({reply.status})")
    if disagreement := clock_problem(reply.headers.get("date", ""), datetime.now(UTC)):
        logger.warning("%s", disagreement)
    try:
        return msgspec.json.decode(reply.body, type=Registration)
    except msgspec.MsgspecError as problem:
        raise NotLoggedIn(f"the server's answer is not understood: {problem}") from problem


def _token(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as problem:
        raise NotLoggedIn(f"the pod's token {file} cannot be read: {reason(problem)}") from problem


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
            return await login(server, token_file)
        except NotLoggedIn as reason:
            waits(str(reason))
        await sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
