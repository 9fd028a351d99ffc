"""The last things a sidecar does: nobody's request is lost because its pod goes.

1. It says it is not ready, and goes on taking connections for a moment: callers still have its address.
2. It takes no new connections from outside; the open ones may end by themselves.
3. It carries the application's own calls for as long as there is an application. A native sidecar is told to
   end when that is gone already; in the classic layout both are told at once.

Nothing here is longer than the pod's grace: at its end the kubelet kills what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pellucid.dataplane.envoy_lifecycle import Phase
from pellucid.dataplane.envoy_process import EnvoyProcess
from pellucid.kube.probe_targets import WITHDRAWN_SECONDS

SETTLED_SECONDS = 1.0
"""An application that holds no socket for so long is not between two calls; it is gone."""
LOOK_SECONDS = 0.1

Sleep = Callable[[float], Awaitable[object]]


async def depart(
    envoy: EnvoyProcess, application: Callable[[], bool], drain_seconds: float, sleep: Sleep = asyncio.sleep
) -> None:
    """Let everybody finish, then end Envoy.

    application: whether it is still there; drain_seconds: what connections from outside are given.
    """
    if envoy.phase is Phase.SERVING:
        if not await quiet(application, 0.0, WITHDRAWN_SECONDS, sleep):
            await envoy.drain(drain_seconds)
        await quiet(application, SETTLED_SECONDS, None, sleep)
    if envoy.phase is not Phase.GONE:
        await envoy.stop()


async def quiet(
    application: Callable[[], bool], settled_seconds: float, within_seconds: float | None, sleep: Sleep
) -> bool:
    """Wait until the application has been away for so long; False when that does not happen in time."""
    waited = away = 0.0
    while True:
        away = 0.0 if application() else away + LOOK_SECONDS
        if away > settled_seconds:
            return True
        if within_seconds is not None and waited >= within_seconds:
            return False
        await sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS
