"""The last things a sidecar does: nobody's request is lost because its pod goes.

1. It says it is not ready, and goes on taking connections until its callers know that it goes.
2. It takes no new connections from outside; the open ones may end by themselves.
3. It carries the application's own calls for as long as there is an application. A native sidecar is told to
   end when that is gone already; in the classic layout both are told at once.

Nothing here is longer than the pod's grace: at its end the kubelet kills what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from pellucid.dataplane.envoy_lifecycle import Phase
from pellucid.dataplane.envoy_process import EnvoyProcess

SETTLED_SECONDS = 1.0
"""An application that holds no socket for so long is not between two calls; it is gone."""
LOOK_SECONDS = 0.1

Sleep = Callable[[float], Awaitable[object]]


async def depart(
    envoy: EnvoyProcess,
    application: Callable[[], bool],
    withdrawn: Coroutine[Any, Any, None],
    drain_seconds: float,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Let everybody finish, then end Envoy.

    application: whether it is still there; withdrawn: over when callers know; drain_seconds: what connections
    from outside are given.
    """
    known = asyncio.create_task(withdrawn)
    try:
        if envoy.phase is Phase.SERVING:
            if not await gone_before(known, application, sleep):
                await envoy.drain(drain_seconds)
            await quiet(application, SETTLED_SECONDS, sleep)
    finally:
        known.cancel()
    if envoy.phase is not Phase.GONE:
        await envoy.stop()


async def gone_before(other: asyncio.Task[Any], application: Callable[[], bool], sleep: Sleep) -> bool:
    """Whether the application goes before something else is over; waits for the first of the two."""
    while application():
        if other.done():
            return False
        await sleep(LOOK_SECONDS)
    return True


async def quiet(application: Callable[[], bool], settled_seconds: float, sleep: Sleep) -> None:
    """Wait until the application has been away for so long."""
    away = 0.0
    while (away := 0.0 if application() else away + LOOK_SECONDS) <= settled_seconds:
        await sleep(LOOK_SECONDS)
