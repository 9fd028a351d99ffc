"""`k8s controller`: custom resources as configuration entries; and what is done before it is uninstalled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli.command import Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from pellucid.kube.control_config_entries import ProcessSettings


def _run(invocation: Invocation) -> int:
    import asyncio
    import logging

    from pellucid.kube.control_config_entries import control_config_entries

    level = logging.getLevelName(invocation.flags.text("log-level").upper())
    if not isinstance(level, int):
        raise CommandFailed(f"==> -log-level: {invocation.flags.text('log-level')!r} is no log level")
    logging.basicConfig(level=level, format="%(asctime)s [%(levelname)s] %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return asyncio.run(control_config_entries(_settings(invocation)))


def _settings(invocation: Invocation) -> ProcessSettings:
    from pellucid.kube.control_config_entries import ProcessSettings
    from pellucid.kube.controllers.config_entries import ControllerSettings
    from pellucid.kube.leader_election import Candidate
    from pellucid.kube.server_client import ServerAddress
    from pellucid.kube.webhook_trust import WebhookObjects

    flags, environment = invocation.flags, invocation.environment
    namespace = environment.get("POD_NAMESPACE", "default")
    host, _, port = flags.text("listen").rpartition(":")
    if not port.isdigit():
        raise CommandFailed(f"==> -listen: {flags.text('listen')!r} is no address; write it as :9443")
    server = ServerAddress(
        flags.text("http-addr"), Path(flags.text("server-ca-file")), Path(flags.text("token-file"))
    )
    return ProcessSettings(
        host=host,
        port=int(port),
        webhook=WebhookObjects(
            namespace,
            flags.text("webhook-configuration"),
            flags.text("webhook-service"),
            flags.text("webhook-secret"),
        ),
        candidate=Candidate(environment.get("POD_NAME", "controller"), namespace, flags.text("leader-lease")),
        controller=ControllerSettings(server, flags.text("datacenter")),
    )


def _delete(invocation: Invocation) -> int:
    import asyncio

    return asyncio.run(_deleted(invocation.flags.text("webhook-configuration")))


async def _deleted(webhook_configuration: str) -> int:
    from lightkube import AsyncClient

    from pellucid.kube.delete_custom_resources import delete_custom_resources

    client = AsyncClient()
    await delete_custom_resources(client, webhook_configuration)
    await client.aclose()
    return 0


CONTROLLER = Command(
    usage="k8s controller [options]",
    about=(
        "Runs in a deployment of the Helm chart: writes the cluster's custom resources (ServiceDefaults, "
        "ServiceIntentions and the others) as configuration entries, and refuses invalid ones."
    ),
    run=_run,
    flags=(
        Flag("listen", "Where the webhook listens.", default=":9443", placeholder="address"),
        Flag("webhook-configuration", "The webhook configuration to keep trusting us.", placeholder="name"),
        Flag("webhook-service", "The Service in front of us.", placeholder="name"),
        Flag("webhook-secret", "The Secret that holds the webhook's authority.", placeholder="name"),
        Flag("leader-lease", "The Lease by which one of us leads.", placeholder="name"),
        Flag("http-addr", "The mesh server's HTTPS address.", placeholder="url"),
        Flag("server-ca-file", "The authority of the mesh server.", placeholder="file"),
        Flag("token-file", "Our token for the mesh server.", placeholder="file"),
        Flag("datacenter", "The mesh's datacenter.", default="dc1", placeholder="name"),
        Flag("log-level", "debug, info, warning or error.", default="info", placeholder="level"),
    ),
    takes_client=False,
)

DELETE_CUSTOM_RESOURCES = Command(
    usage="k8s delete-custom-resources [options]",
    about=(
        "Runs before the Helm chart is uninstalled: deletes the mesh's custom resources while the controller "
        "is there to let them go, and releases those that it doesn't."
    ),
    run=_delete,
    flags=(
        Flag("webhook-configuration", "The webhook configuration of the controller.", placeholder="name"),
    ),
    takes_client=False,
)
