"""Is Envoy's credential still of use? Without a stream to the server it may not be, and the server says so.

That there is no stream proves nothing: the server may be away, or just back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pellucid.dataplane.envoy_admin import AdminError, EnvoyAdmin

LOOK_SECONDS = 10.0
_CONNECTED = "control_plane.connected_state"


async def credential_is_lost(
    admin: EnvoyAdmin,
    is_refused: Callable[[], Awaitable[bool]],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Returns once Envoy's credential is of no use any more. is_refused: whether the server says so."""
    while True:
        await sleep(LOOK_SECONDS)
        if not await _has_stream(admin) and await is_refused():
            return


async def _has_stream(admin: EnvoyAdmin) -> bool:
    """Of an Envoy that does not answer nothing is known; its end is noticed elsewhere."""
    try:
        return await admin.gauge(_CONNECTED) == 1
    except AdminError:
        return True
