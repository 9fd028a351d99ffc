"""A mesh server that is away is waited for: nothing is tried in vain, and whoever waits is told why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from pellucid.kube.server_client import ServerClient, ServerRefused, ServerUnavailable

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 2.0

log = structlog.get_logger("pellucid.kube.outage")


async def outage(
    server: ServerClient,
    away: ServerUnavailable,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[ServerUnavailable]:
    """Why the server is away, at first and each time it is asked again, until it answers.

    After that everything is to be compared: it may have lost something.
    """
    log.warning("waiting for the server", reason=str(away))
    reason: ServerUnavailable | None = away
    pause = FIRST_PAUSE_S
    while reason is not None:
        yield reason
        await sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_S)
        reason = await _reason_of_absence(server)
    log.info("the server is back")


async def _reason_of_absence(server: ServerClient) -> ServerUnavailable | None:
    try:
        await server.get_once("/v1/status/leader")
    except ServerUnavailable as away:
        return away
    except ServerRefused:
        pass
    return None
