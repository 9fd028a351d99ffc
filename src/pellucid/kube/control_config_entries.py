"""The controller's process: the webhook on every replica, custom resources on the one that leads."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import msgspec
from lightkube import AsyncClient

from pellucid.kube import webhook_server
from pellucid.kube.controllers import config_entries
from pellucid.kube.controllers.config_entries import web_server
from pellucid.kube.leader_election import Candidate, LeaderElection
from pellucid.kube.webhook_trust import WebhookObjects, WebhookTrust

WITHDRAWN_S = 3.0
"""How long the webhook still answers after it was told to stop: until nobody is sent here any more."""


class ProcessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """host: empty listens on every address."""

    host: str
    port: int
    webhook: WebhookObjects
    candidate: Candidate
    controller: config_entries.ControllerSettings


async def control_config_entries(settings: ProcessSettings) -> int:
    """Until told to stop; the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = AsyncClient()
    trust = WebhookTrust(client, settings.webhook)
    election = LeaderElection(client, settings.candidate)
    app = web_server.application(web_server.existing_resources(client), lambda: _missing(trust))
    closed = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        looking_after = tasks.create_task(trust.run())
        leading = tasks.create_task(
            election.run(lambda: config_entries.run(client, settings.controller, asyncio.Event()))
        )
        serving = tasks.create_task(
            webhook_server.serve(app, settings.host, settings.port, trust.context, closed)
        )
        stopping = tasks.create_task(stop.wait())
        await asyncio.wait((stopping, serving), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        leading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leading
        await election.release()
        if not serving.done():
            await asyncio.sleep(WITHDRAWN_S)
        closed.set()
        await serving
        looking_after.cancel()
    await client.aclose()
    return 0


def _missing(trust: WebhookTrust) -> str:
    return "" if trust.ready.is_set() else "the API server's trust in the webhook's certificate"
