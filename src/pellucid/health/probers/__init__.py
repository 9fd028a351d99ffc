"""Probers: one look at a target, as a function from a check's definition to a result.

A target that can't be reached is a critical result with the reason in words, never an exception.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from pellucid.health.probers.grpc import probe_grpc
from pellucid.health.probers.h2ping import probe_h2ping
from pellucid.health.probers.http import probe_http
from pellucid.health.probers.script import probe_script
from pellucid.health.probers.tcp import probe_tcp
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckDefinition, CheckStatus

Prober = Callable[[CheckDefinition], Awaitable[CheckResult]]

PROBERS: Mapping[str, Prober] = {
    "grpc": probe_grpc,
    "h2ping": probe_h2ping,
    "http": probe_http,
    "script": probe_script,
    "tcp": probe_tcp,
}


async def probe(definition: CheckDefinition) -> CheckResult:
    """Look once, by the prober of the check's type."""
    prober = PROBERS.get(definition.type)
    if prober is None:
        output = f"Checks of type {definition.type!r} are not run; use a script check (Args) instead."
        return CheckResult(CheckStatus.CRITICAL, output)
    return await prober(definition)
