"""The controller's process: the webhook on every replica, custom resources on the one that leads."""

from __future__ import annotations

from contextlib import aclosing

import msgspec
from lightkube import AsyncClient

from pellucid.kube.controllers import config_entries
from pellucid.kube.controllers.config_entries import web_server
from pellucid.kube.replica import Replica, ReplicaSettings
from pellucid.kube.webhook.server import listening


class ControlConfigEntriesSettings(msgspec.Struct, frozen=True):
    """What the process is told when it starts."""

    replica: ReplicaSettings
    controller: config_entries.ControllerSettings


async def control_config_entries(settings: ControlConfigEntriesSettings) -> None:
    """Until told to stop. Raises OSError when the port is taken, ConfigError without an API server."""
    listener = listening(settings.replica.host, settings.replica.port)
    async with aclosing(AsyncClient()) as client:
        replica = Replica(client, settings.replica)
        await replica.run(
            web_server.application(web_server.existing_resources(client), replica.not_ready),
            listener,
            lambda: config_entries.run(client, settings.controller),
        )
