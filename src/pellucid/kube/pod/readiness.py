"""Waiting for the pod's own sidecar, so that its application starts later where sidecars are not native.

The kubelet starts a container once the start hook of the one before is done.
Source: Kubernetes docs, "Container Lifecycle Hooks".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pellucid.dataplane.http_exchange import Ask, MalformedReplyError, exchange, reason

_LOOK_SECONDS = 0.1
_ANSWER_WITHIN_SECONDS = 10.0
_MOST_BYTES = 65_536


async def until_ready(
    port: int, within_seconds: float, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> str:
    """Empty once the sidecar at that status port is ready; what it waits for, if that takes too long."""
    waited = 0.0
    while said := await _missing(port):
        if waited >= within_seconds:
            return said
        await sleep(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
    return ""


async def _missing(port: int) -> str:
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            reply = await exchange(reader, writer, Ask("GET", "/ready"), _MOST_BYTES)
    except (OSError, MalformedReplyError) as problem:
        return f"the sidecar does not answer: {reason(problem)}"
    return "" if reply.status == 200 else reply.text.strip()
