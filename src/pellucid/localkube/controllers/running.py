"""All controllers of a cluster, running."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pellucid.localkube.api.store import Resources
from pellucid.localkube.controllers.claim_protection import CLAIM_PROTECTION_CONTROLLER
from pellucid.localkube.controllers.controller import Controller
from pellucid.localkube.controllers.cronjob import CRON_JOB_CONTROLLER
from pellucid.localkube.controllers.custom_resource_definition import CUSTOM_RESOURCE_DEFINITION_CONTROLLER
from pellucid.localkube.controllers.daemonset import DAEMON_SET_CONTROLLER
from pellucid.localkube.controllers.deployment import DEPLOYMENT_CONTROLLER
from pellucid.localkube.controllers.disruption import DISRUPTION_CONTROLLER
from pellucid.localkube.controllers.endpoints import ENDPOINTS_CONTROLLER
from pellucid.localkube.controllers.garbage import GARBAGE_CONTROLLER
from pellucid.localkube.controllers.job import JOB_CONTROLLER
from pellucid.localkube.controllers.kubernetes_service import kubernetes_service_controller
from pellucid.localkube.controllers.load_balancer import LOAD_BALANCER_CONTROLLER
from pellucid.localkube.controllers.loop import Loop
from pellucid.localkube.controllers.namespace import NAMESPACE_CONTROLLER
from pellucid.localkube.controllers.node_lifecycle import node_lifecycle_controller
from pellucid.localkube.controllers.reading import Object
from pellucid.localkube.controllers.replicaset import REPLICA_SET_CONTROLLER
from pellucid.localkube.controllers.role_aggregation import ROLE_AGGREGATION_CONTROLLER
from pellucid.localkube.controllers.scheduler import SCHEDULER_CONTROLLER
from pellucid.localkube.controllers.serviceaccount import service_account_controller
from pellucid.localkube.controllers.statefulset import STATEFUL_SET_CONTROLLER
from pellucid.localkube.controllers.token_secrets import IssueToken, token_secret_controller
from pellucid.localkube.controllers.volumes import VOLUME_CONTROLLER, claim_controller
from pellucid.localkube.types.kinds import BUILT_IN, Resource


def controllers(
    authority: str,
    volumes: Path,
    issue: IssueToken,
    kubernetes_service: Sequence[tuple[Resource, Object]],
    started_at: datetime,
) -> tuple[Controller, ...]:
    """Every controller.

    authority: the cluster's CA certificate (PEM), given to each namespace. volumes: where claims get theirs.
    issue: makes a service account's lasting token. kubernetes_service: the API's own, with its endpoints.
    started_at: since when controllers run.
    """
    return (
        NAMESPACE_CONTROLLER,
        CUSTOM_RESOURCE_DEFINITION_CONTROLLER,
        service_account_controller(authority),
        token_secret_controller(authority, issue),
        SCHEDULER_CONTROLLER,
        node_lifecycle_controller(started_at),
        REPLICA_SET_CONTROLLER,
        DEPLOYMENT_CONTROLLER,
        DAEMON_SET_CONTROLLER,
        STATEFUL_SET_CONTROLLER,
        JOB_CONTROLLER,
        CRON_JOB_CONTROLLER,
        claim_controller(volumes),
        CLAIM_PROTECTION_CONTROLLER,
        VOLUME_CONTROLLER,
        ENDPOINTS_CONTROLLER,
        kubernetes_service_controller(kubernetes_service),
        LOAD_BALANCER_CONTROLLER,
        DISRUPTION_CONTROLLER,
        ROLE_AGGREGATION_CONTROLLER,
        GARBAGE_CONTROLLER,
    )


def followed() -> tuple[Resource, ...]:
    """Every kind that is kept, once whatever its versions."""
    kept = {resource.stored: resource for resource in reversed(BUILT_IN) if "watch" in resource.verbs}
    return tuple(kept.values())


async def run_controllers(
    resources: Resources,
    authority: str,
    volumes: Path,
    issue: IssueToken,
    kubernetes_service: Sequence[tuple[Resource, Object]],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Run them until cancelled."""
    running = controllers(authority, volumes, issue, kubernetes_service, clock())
    await Loop(resources, running, followed(), clock).run()
