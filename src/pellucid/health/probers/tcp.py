"""TCP checks: passing when a connection opens.

Source: Consul 1.10 docs, "Checks", "TCP".
"""

from __future__ import annotations

import asyncio

from pellucid.health.probers.dialing import AddressError, connect, describe_failure, split_address, timeout_of
from pellucid.health.results import CheckResult
from pellucid.model.checks import CheckDefinition, CheckStatus


async def probe_tcp(definition: CheckDefinition) -> CheckResult:
    """Open a connection to `tcp` and close it."""
    try:
        host, port = split_address(definition.tcp)
    except AddressError as error:
        return CheckResult(CheckStatus.CRITICAL, str(error))
    try:
        async with asyncio.timeout(timeout_of(definition)):
            _, writer = await connect(host, port)
    except (OSError, TimeoutError) as error:
        return CheckResult(CheckStatus.CRITICAL, describe_failure(error, host, port))
    writer.close()
    return CheckResult(CheckStatus.PASSING, f"TCP connect {definition.tcp}: Success")
