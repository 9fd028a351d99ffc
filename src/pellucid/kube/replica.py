"""One of several replicas of a component: its webhook serves on each, its controller on the one that leads.

A replica that is told to stop stops leading first, so that another does at once, and serves on until the API
server has heard that it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec
import structlog
from lightkube import AsyncClient
from starlette.types import ASGIApp

from pellucid.kube.leader_election import Candidate, LeaderElection
from pellucid.kube.webhook.server import serve, withdrawing
from pellucid.kube.webhook.trust import WebhookObjects, WebhookTrust

WITHDRAWN_S = 3.0
"""How long the webhook still answers after it was told to stop: until nobody is sent here any more."""

log = structlog.get_logger("pellucid.kube.replica")


class ReplicaSettings(msgspec.Struct, frozen=True):
    """host and port: where the webhook listens; an empty host is every address."""

    host: str
    port: int
    webhook: WebhookObjects
    candidate: Candidate


class Replica:
    """A webhook that the API server trusts, and a candidate."""

    def __init__(self, client: AsyncClient, settings: ReplicaSettings) -> None:
        self._trust = WebhookTrust(client, settings.webhook)
        self._election = LeaderElection(client, settings.candidate)
        self._stop = asyncio.Event()

    def not_ready(self) -> str:
        """What is still missing before the webhook can be asked; empty when nothing is."""
        return "" if self._trust.ready.is_set() else "the API server's trust in the webhook's certificate"

    async def run(
        self,
        webhook: ASGIApp,
        listener: socket.socket,
        lead: Callable[[], Coroutine[Any, Any, None]],
        *,
        beside: Sequence[tuple[ASGIApp, socket.socket]] = (),
    ) -> None:
        """Serve, and `lead` while we are the one, until a signal. beside: served too, over plain HTTP."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        closed = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            looking_after = tasks.create_task(self._trust.run())
            leading = tasks.create_task(self._election.run(lead))
            served = withdrawing(webhook, self._stop.is_set)
            serving = tasks.create_task(serve(served, listener, self._trust.context, closed))
            for app, place in beside:
                tasks.create_task(serve(app, place, None, closed))
            await self._told_to_stop_or(serving)
            log.info("leaving", serves_for_seconds=WITHDRAWN_S)
            await self._stop_leading(leading)
            if not serving.done():
                await asyncio.sleep(WITHDRAWN_S)
            closed.set()
            await serving
            looking_after.cancel()

    async def _told_to_stop_or(self, serving: asyncio.Task[None]) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((stopping, serving), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    async def _stop_leading(self, leading: asyncio.Task[None]) -> None:
        leading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leading
        await self._election.release()
