"""The injector's process: the webhook on every replica, the endpoints controller on the one that leads."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path

import httpx2
import msgspec
import structlog
from lightkube import AsyncClient
from lightkube.resources.core_v1 import Namespace

from pellucid.kube import webhook_server
from pellucid.kube.controllers import endpoints
from pellucid.kube.injector import web_server
from pellucid.kube.injector.counters import ReviewCounters, metrics_application
from pellucid.kube.injector.datacenters import mesh_problem
from pellucid.kube.injector.overlooked import tell_overlooked
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.leader_election import Candidate, LeaderElection
from pellucid.kube.server_client import ServerAddress, ServerClient
from pellucid.kube.webhook_trust import WebhookObjects, WebhookTrust

WITHDRAWN_S = 3.0
"""How long the webhook still answers after it was told to stop: until nobody is sent here any more."""

log = structlog.get_logger("pellucid.kube.injector")


class InjectConnectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """host: empty listens on every address, as does metrics_host; metrics_port: 0 for none.

    authority_file: the server's authority, as it is mounted.
    """

    host: str
    port: int
    metrics_host: str
    metrics_port: int
    injector: InjectorSettings
    authority_file: Path
    webhook: WebhookObjects
    candidate: Candidate
    server: ServerAddress


async def inject_connect(settings: InjectConnectSettings) -> int:
    """Until told to stop; the exit code. Raises OSError when a port is taken."""
    listener = webhook_server.listening(settings.host, settings.port)
    scraped = None
    if settings.metrics_port:
        scraped = webhook_server.listening(settings.metrics_host, settings.metrics_port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = AsyncClient()
    trust = WebhookTrust(client, settings.webhook)
    election = LeaderElection(client, settings.candidate)
    counters, server = ReviewCounters(), ServerClient(settings.server)
    app = web_server.application(
        lambda: _with_authority(settings),
        _namespace_labels(client),
        mesh_problem(server),
        lambda: _missing(trust),
        counters,
        stop.is_set,
    )
    closed = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        looking_after = tasks.create_task(trust.run())
        leading = tasks.create_task(election.run(lambda: _lead(client, settings)))
        serving = tasks.create_task(webhook_server.serve_at(app, listener, trust.context, closed))
        if scraped:
            metrics = metrics_application(counters)
            tasks.create_task(webhook_server.serve_at(metrics, scraped, None, closed))
        await _first_of(stop, serving)
        log.info("leaving", serves_for_seconds=WITHDRAWN_S)
        leading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leading
        await election.release()
        if not serving.done():
            await asyncio.sleep(WITHDRAWN_S)
        closed.set()
        await serving
        looking_after.cancel()
    await server.aclose()
    await client.aclose()
    return 0


async def _lead(client: AsyncClient, settings: InjectConnectSettings) -> None:
    controller = endpoints.ControllerSettings(
        server=settings.server,
        metrics_enabled=settings.injector.metrics.enabled,
        prometheus_scrape_port=settings.injector.metrics.scrape_port,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(endpoints.run(client, controller, asyncio.Event()))
        tasks.create_task(tell_overlooked(client, settings.injector))


def _with_authority(settings: InjectConnectSettings) -> InjectorSettings:
    """The authority is read for each pod: the file follows its config map."""
    return msgspec.structs.replace(settings.injector, server_authority=settings.authority_file.read_text())


def _namespace_labels(client: AsyncClient) -> web_server.NamespaceLabels:
    """As they are now; as they were last while the API server cannot say."""
    last: dict[str, Mapping[str, str]] = {}

    async def labels(name: str) -> Mapping[str, str]:
        try:
            namespace = await client.get(Namespace, name)
        except (httpx2.TransportError, OSError):
            if name not in last:
                raise
        else:
            last[name] = (namespace.metadata.labels if namespace.metadata else None) or {}
        return last[name]

    return labels


def _missing(trust: WebhookTrust) -> str:
    return "" if trust.ready.is_set() else "the API server's trust in the webhook's certificate"


async def _first_of(stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((stopping, serving), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
