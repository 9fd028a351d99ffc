"""A check definition checked, and made into the `CheckDefinition` that health runs.

Source: Consul 1.10 docs, "Checks"; agent/structs/check_type.go (Validate), agent/agent.go (AddCheck).
"""

from __future__ import annotations

from pellucid.model.checks import CheckDefinition, CheckStatus
from pellucid.model.definitions import CheckType
from pellucid.model.durations import MINUTE, SECOND
from pellucid.model.services import Service

MIN_INTERVAL_NS = SECOND
MIN_DEREGISTER_AFTER_NS = MINUTE
DEFAULT_OUTPUT_MAX_SIZE = 4096

_STATUSES = frozenset(status.value for status in CheckStatus)


def check_error(check: CheckType) -> str | None:
    """What is wrong with a check, in Consul's words; None when nothing is."""
    args = check.script_args or check.args
    runs_at_interval = bool(args or check.http or check.tcp or check.grpc or check.h2ping)
    is_alias = bool(check.alias_node or check.alias_service)
    if check.interval > 0 and check.ttl > 0:
        return "Interval and TTL cannot both be specified"
    if runs_at_interval and check.interval <= 0:
        return "Interval must be > 0 for Script, HTTP, H2PING, or TCP checks"
    if runs_at_interval and is_alias:
        return "Interval cannot be set for Alias checks"
    if is_alias and check.ttl > 0:
        return "TTL must be not be set for Alias checks"
    if not runs_at_interval and not is_alias and check.ttl <= 0:
        return "TTL must be > 0 for TTL checks"
    if check.output_max_size < 0:
        return "MaxOutputMaxSize must be positive"
    return None


def check_definitions(checks: tuple[CheckType, ...], service: Service) -> tuple[CheckDefinition, ...]:
    """The checks of a service with ids and names filled in: `service:<id>`, or with `:<n>` for several."""
    several = len(checks) > 1
    return tuple(
        check_definition(
            check,
            node=service.node,
            check_id=f"service:{service.id}:{number}" if several else f"service:{service.id}",
            name=f"Service '{service.name}' check",
            service_id=service.id,
        )
        for number, check in enumerate(checks, start=1)
    )


def check_definition(
    check: CheckType, *, node: str, check_id: str, name: str, service_id: str = ""
) -> CheckDefinition:
    """A check as it is to be run; `check_id` and `name` serve where the check gives none.

    Intervals below a second and deregistration below a minute are raised to these.
    """
    interval = max(check.interval, MIN_INTERVAL_NS) if check.interval > 0 else 0
    deregister_after = check.deregister_critical_service_after
    if deregister_after > 0:
        deregister_after = max(deregister_after, MIN_DEREGISTER_AFTER_NS)
    return CheckDefinition(
        node=node,
        check_id=check.check_id or check.id or check_id,
        name=check.name or name,
        notes=check.notes,
        service_id=service_id,
        status=CheckStatus(check.status) if check.status else CheckStatus.CRITICAL,
        interval_ns=interval,
        timeout_ns=check.timeout,
        ttl_ns=check.ttl,
        http=check.http,
        method=check.method,
        header=check.header,
        body=check.body,
        tls_server_name=check.tls_server_name,
        tls_skip_verify=check.tls_skip_verify,
        tcp=check.tcp,
        grpc=check.grpc,
        grpc_use_tls=check.grpc_use_tls,
        h2ping=check.h2ping,
        script_args=check.script_args or check.args,
        docker_container_id=check.docker_container_id,
        shell=check.shell,
        alias_node=check.alias_node,
        alias_service=check.alias_service,
        deregister_critical_service_after_ns=deregister_after,
        success_before_passing=check.success_before_passing,
        failures_before_critical=check.failures_before_critical,
        output_max_size=check.output_max_size or DEFAULT_OUTPUT_MAX_SIZE,
    )


def is_known_status(status: str) -> bool:
    """True for a status a check may start with; none at all means critical."""
    return not status or status in _STATUSES
