"""What an alias check says: the worst of the checks it stands for.

Pure; whoever knows the aliased checks calls it when they change and hands the result to the runner.
Source: Consul 1.10 docs, "Checks", "Alias"; agent/checks/alias.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckDefinition, CheckStatus, HealthCheck
from pellucid.model.go_text import quote

_SEVERITY = {CheckStatus.PASSING: 0, CheckStatus.WARNING: 1, CheckStatus.CRITICAL: 2}


def alias_result(
    definition: CheckDefinition, checks: Iterable[HealthCheck], *, service_exists: bool
) -> CheckResult:
    """The result of the alias check `definition`.

    checks: those of the aliased node (`alias_node`, else the check's own), node-level ones included; others
    are ignored. service_exists: whether the aliased service is registered there; a bare node alias passes
    True.
    """
    node = definition.alias_node or definition.node
    aliased = [
        check
        for check in checks
        if check.node.lower() == node.lower()
        and check.service_id in ("", definition.alias_service)
        and check.check_id != definition.check_id
    ]
    if not service_exists:
        missing = f"Service {definition.alias_service} could not be found on node {node}"
        return CheckResult(CheckStatus.CRITICAL, missing)
    if not aliased:
        return CheckResult(CheckStatus.PASSING, "No checks found.")
    worst = max(aliased, key=lambda check: _SEVERITY[check.status])
    if worst.status is CheckStatus.PASSING:
        return CheckResult(CheckStatus.PASSING, "All checks passing.")
    return CheckResult(worst.status, f"Aliased check {quote(worst.name)} failing: {worst.output}")
