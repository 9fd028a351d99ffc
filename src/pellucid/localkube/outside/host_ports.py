"""Ports of the host that lead to ports of the cluster's nodes: node ports of services, host ports of pods."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from pellucid.foundation.streams import Streams
from pellucid.localkube.outside.relay import Relay


@asynccontextmanager
async def host_ports(mapped: Iterable[tuple[socket.socket, str, int]]) -> AsyncIterator[None]:
    """Serve sockets that listen on the host already, each for an address and port of the cluster."""
    relays = []
    try:
        for listener, address, port in mapped:
            relays.append(_to(address, port))
            await relays[-1].listen_on(listener)
        yield
    finally:
        for relay in relays:
            await relay.close()


def _to(address: str, port: int) -> Relay:
    async def dial(accepted: socket.socket) -> Streams:
        return await asyncio.open_connection(address, port)

    return Relay(dial)
