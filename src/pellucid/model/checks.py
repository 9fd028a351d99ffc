"""Health checks: how one is run (`CheckDefinition`) and what it last said (`HealthCheck`).

Source: Consul 1.10 docs, "Checks", "Health HTTP API".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

SERF_HEALTH = "serfHealth"
NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE_PREFIX = "_service_maintenance:"


class CheckStatus(StrEnum):
    """The three states of a check, best first."""

    PASSING = "passing"
    WARNING = "warning"
    CRITICAL = "critical"


class CheckDefinition(msgspec.Struct, frozen=True):
    """How a check is run. Key: (`node`, `check_id`). Durations are nanoseconds, 0 when unset."""

    node: str
    check_id: str
    name: str = ""
    notes: str = ""
    service_id: str = ""
    status: CheckStatus = CheckStatus.CRITICAL
    """The status reported before the first result."""
    interval_ns: int = 0
    timeout_ns: int = 0
    ttl_ns: int = 0
    http: str = ""
    method: str = ""
    header: Mapping[str, tuple[str, ...]] | None = None
    body: str = ""
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    tcp: str = ""
    grpc: str = ""
    grpc_use_tls: bool = False
    h2ping: str = ""
    script_args: tuple[str, ...] = ()
    docker_container_id: str = ""
    shell: str = ""
    alias_node: str = ""
    alias_service: str = ""
    deregister_critical_service_after_ns: int = 0
    success_before_passing: int = 0
    failures_before_critical: int = 0
    output_max_size: int = 4096

    @property
    def type(self) -> str:
        """The check's type as the API names it; the first that applies in Consul's order."""
        if self.grpc:
            return "grpc"
        if self.http:
            return "http"
        if self.ttl_ns:
            return "ttl"
        if self.tcp:
            return "tcp"
        if self.alias_node or self.alias_service:
            return "alias"
        if self.docker_container_id:
            return "docker"
        if self.script_args:
            return "script"
        return "h2ping" if self.h2ping else ""


class HealthCheck(msgspec.Struct, frozen=True):
    """The last result of a check, of a node (no `service_id`) or of a service. Key: (`node`, `check_id`)."""

    node: str
    check_id: str
    name: str = ""
    status: CheckStatus = CheckStatus.CRITICAL
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    service_tags: tuple[str, ...] = ()
    type: str = ""
    exposed_port: int = 0
    definition: Mapping[str, object] | None = None
    """The wire form of `Definition` as registered through the catalog; None for an agent's own checks."""


def worst_of(statuses: Iterable[CheckStatus]) -> CheckStatus:
    """The status of a whole that is as healthy as its sickest part; passing when there are no parts."""
    worst = CheckStatus.PASSING
    for status in statuses:
        if status is CheckStatus.CRITICAL:
            return status
        if status is CheckStatus.WARNING:
            worst = status
    return worst


def is_maintenance(check_id: str) -> bool:
    """True for the checks that maintenance mode puts on a node or service."""
    return check_id == NODE_MAINTENANCE or check_id.startswith(SERVICE_MAINTENANCE_PREFIX)
