"""When a pod that leaves may end: once its callers have had time to learn that it goes.

They hear it from the server, which hears it from the endpoints controller, and either may just be replaced:
so the server is asked whether it knows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from pellucid.kube.probe_targets import WITHDRAWN_SECONDS

LOOK_SECONDS = 0.2
LEARNED_SECONDS = 1.0
"""How long callers take to hear what the server knows, at the most."""
UNTOLD_SECONDS = 2.0
"""A server that takes the pod for well so long is not told that it goes: hooks also run before a container is
started anew in a pod that stays."""
AWAY_SECONDS = 12.0
"""So long a server that does not answer is waited for."""


async def withdrawn(
    is_withdrawn: Callable[[], Awaitable[bool | None]],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Returns when callers know, or cannot be told. is_withdrawn: what the server says; None for no answer.

    clock: seconds that only go up.
    """
    began = clock()
    untold_since: float | None = None
    while clock() - began < AWAY_SECONDS:
        await sleep(LOOK_SECONDS)
        known = await is_withdrawn()
        if known:
            break
        if known is False:
            untold_since = clock() if untold_since is None else untold_since
            if clock() - untold_since >= UNTOLD_SECONDS:
                return
    await sleep(max(WITHDRAWN_SECONDS - (clock() - began), LEARNED_SECONDS))
