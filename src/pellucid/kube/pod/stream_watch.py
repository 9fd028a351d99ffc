"""Does the server still know Envoy's credential? Its stream shows it; a server that is away is no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pellucid.dataplane.envoy_admin import AdminError, EnvoyAdmin
from pellucid.kube.pod.settings import Server

LOOK_SECONDS = 10.0
LOST_LOOKS = 4
"""A server that answers, and so many times in a row has no stream to Envoy, does not know its credential.

Envoy may wait 30 seconds before it dials a server again that has come back.
"""
_CONNECTED = "control_plane.connected_state"


async def credential_is_lost(
    admin: EnvoyAdmin, server: Server, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Returns once Envoy's credential is of no use any more."""
    looks = 0
    while looks < LOST_LOOKS:
        await sleep(LOOK_SECONDS)
        lost = not await _has_stream(admin) and await _answers(server)
        looks = looks + 1 if lost else 0


async def _has_stream(admin: EnvoyAdmin) -> bool:
    """Of an Envoy that does not answer nothing is known; its end is noticed elsewhere."""
    try:
        return await admin.gauge(_CONNECTED) == 1
    except AdminError:
        return True


async def _answers(server: Server) -> bool:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            _, writer = await asyncio.open_connection(server.xds_host, server.xds_port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
