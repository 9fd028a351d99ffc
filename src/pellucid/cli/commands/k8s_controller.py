"""`k8s controller`: custom resources as configuration entries; and what is done before it is uninstalled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.cli.command import Command, Invocation
from pellucid.cli.go_flags import Flag
from pellucid.cli.kube_replica import REPLICA_FLAGS, replica_settings, run_replica, server_address

if TYPE_CHECKING:
    from pellucid.kube.control_config_entries import ControlConfigEntriesSettings


def _run(invocation: Invocation) -> int:
    return run_replica("the controller", invocation, _control)


async def _control(invocation: Invocation) -> None:
    from pellucid.kube.control_config_entries import control_config_entries

    await control_config_entries(_settings(invocation))


def _settings(invocation: Invocation) -> ControlConfigEntriesSettings:
    from pellucid.kube.control_config_entries import ControlConfigEntriesSettings
    from pellucid.kube.controllers.config_entries import ControllerSettings

    flags = invocation.flags
    return ControlConfigEntriesSettings(
        replica_settings(invocation), ControllerSettings(server_address(flags), flags.text("datacenter"))
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
        *REPLICA_FLAGS,
        Flag("datacenter", "The mesh's datacenter.", default="dc1", placeholder="name"),
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
