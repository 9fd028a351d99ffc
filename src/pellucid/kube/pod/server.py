"""One question to the mesh's server, over TLS, trusting what the pod was made with."""

from __future__ import annotations

import asyncio
import ssl

from pellucid.dataplane.http_exchange import Ask, Reply, exchange
from pellucid.kube.pod.settings import Server

_CONNECT_WITHIN_SECONDS = 10.0
_MOST_BYTES = 1 << 20


class NoAuthorityError(Exception):
    """What the pod was given to trust the server by is no certificate; the message says why."""


async def asked(server: Server, ask: Ask, within_s: float) -> Reply:
    """The answer. within_s: from the request on; connecting may take no longer either.

    Raises OSError (TimeoutError is one), MalformedReplyError, NoAuthorityError.
    """
    async with asyncio.timeout(min(within_s, _CONNECT_WITHIN_SECONDS)):
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=_trust(server))
    async with asyncio.timeout(within_s):
        return await exchange(reader, writer, ask, _MOST_BYTES)


def _trust(server: Server) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=server.authority_pem)
    except ssl.SSLError as problem:
        raise NoAuthorityError(f"PELLUCID_SERVER_CA holds no certificate: {problem}") from problem
