"""The injector's process: the webhook on every replica, the endpoints controller on the one that leads."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import msgspec
from lightkube import AsyncClient

from pellucid.kube.cluster_version import Release
from pellucid.kube.controllers import endpoints
from pellucid.kube.injector import web_server
from pellucid.kube.injector.counters import ReviewCounters, metrics_application
from pellucid.kube.injector.datacenters import mesh_problem
from pellucid.kube.injector.namespace_labels import namespace_labels
from pellucid.kube.injector.overlooked import tell_overlooked
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.replica import Replica, ReplicaSettings
from pellucid.kube.server_client import ServerAddress, ServerClient
from pellucid.kube.webhook.server import listening


class InjectConnectSettings(msgspec.Struct, frozen=True, kw_only=True):
    """metrics_host: empty listens on every address; metrics_port: 0 for none.

    kubernetes: the cluster's release; authority_file: the server's authority, as it is mounted.
    """

    replica: ReplicaSettings
    metrics_host: str
    metrics_port: int
    kubernetes: Release
    injector: InjectorSettings
    authority_file: Path
    server: ServerAddress


async def inject_connect(settings: InjectConnectSettings) -> None:
    """Until told to stop. Raises OSError when a port is taken, ConfigError without an API server."""
    listener = listening(settings.replica.host, settings.replica.port)
    scraped = (listening(settings.metrics_host, settings.metrics_port),) if settings.metrics_port else ()
    counters = ReviewCounters()
    metrics = metrics_application(counters)
    async with aclosing(AsyncClient()) as client, aclosing(ServerClient(settings.server)) as server:
        replica = Replica(client, settings.replica)
        app = web_server.application(
            lambda: _with_authority(settings),
            namespace_labels(client),
            mesh_problem(server),
            replica.not_ready,
            counters,
        )
        beside = [(metrics, place) for place in scraped]
        await replica.run(app, listener, lambda: _lead(client, settings), beside=beside)


async def _lead(client: AsyncClient, settings: InjectConnectSettings) -> None:
    controller = endpoints.ControllerSettings(
        server=settings.server,
        kubernetes=settings.kubernetes,
        metrics_enabled=settings.injector.metrics.enabled,
        prometheus_scrape_port=settings.injector.metrics.scrape_port,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(endpoints.run(client, controller))
        tasks.create_task(tell_overlooked(client, settings.injector))


def _with_authority(settings: InjectConnectSettings) -> InjectorSettings:
    """The authority is read for each pod: the file follows its config map."""
    return msgspec.structs.replace(settings.injector, server_authority=settings.authority_file.read_text())
