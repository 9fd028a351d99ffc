"""How a registered pod stands with the server: whether its credential counts, whether it is still called.

A server that is away, or is not understood, gives no answer.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import msgspec

from pellucid.dataplane.http_exchange import Ask, MalformedReplyError, Reply
from pellucid.kube.pod.login import Registration
from pellucid.kube.pod.server import NoAuthorityError, asked
from pellucid.kube.pod.settings import Server

_ANSWER_WITHIN_SECONDS = 10.0
_SOON_SECONDS = 1.0
"""For an answer that is of use only now."""


class _Check(msgspec.Struct, frozen=True, rename="pascal"):
    status: str


async def is_refused(server: Server, registration: Registration) -> bool:
    """Whether the server says that it does not take the sidecar's credential: its registration has gone."""
    sidecar = registration.sidecar
    target = f"/v1/pellucid/credential/{quote(sidecar.id)}?{urlencode({'node': registration.node})}"
    ask = Ask("GET", target, server.host, {"X-Consul-Token": sidecar.credential})
    reply = await _reply(server, ask, _ANSWER_WITHIN_SECONDS)
    return reply is not None and reply.status == 403


async def is_withdrawn(server: Server, registration: Registration) -> bool | None:
    """Whether callers are told not to call the pod any more; None if the server does not say."""
    sidecar = registration.sidecar
    wanted = urlencode({"filter": f'ServiceID == "{sidecar.id}" and Node == "{registration.node}"'})
    target = f"/v1/health/checks/{quote(sidecar.name)}?{wanted}"
    reply = await _reply(server, Ask("GET", target, server.host), _SOON_SECONDS)
    if reply is None or reply.status != 200:
        return None
    try:
        checks = msgspec.json.decode(reply.body, type=tuple[_Check, ...])
    except msgspec.MsgspecError:
        return None
    return not checks or any(check.status == "critical" for check in checks)


async def _reply(server: Server, ask: Ask, within_s: float) -> Reply | None:
    try:
        return await asked(server, ask, within_s)
    except (OSError, MalformedReplyError, NoAuthorityError):
        return None
