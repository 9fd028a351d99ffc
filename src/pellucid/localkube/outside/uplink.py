"""Lends a cluster the host's way out: what pods dial outside the cluster, this process dials on the host.

Rules in the cluster's own network namespace send such connections here. TCP only, and name resolution by
cluster DNS; the host's firewall, routes and settings are neither changed nor needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

from pellucid.localkube.network.addresses import AddressPlan
from pellucid.localkube.network.commands import run_network_command
from pellucid.localkube.outside.host_network import HostNetwork

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PIECE = 1 << 16
_DIAL_WITHIN_S = 10.0
_MOST_CONNECTIONS = 2048
_SO_ORIGINAL_DST = 80
_SOMEWHERE_V6 = "2000::1"


def uplink_rules(
    plan: AddressPlan, version: int, port: int, resolvers: Sequence[str], stand_ins: Sequence[str]
) -> list[str]:
    """Lines of the nat table, after those of services.

    port: where the relay listens on the first node. resolvers: the host's name servers, whose place cluster
    DNS takes for pods that ask them; it asks them in turn. stand_ins: addresses outside that are near.
    """
    node = plan.node(0)
    relay = f"{node.v4}:{port}" if version == 4 else f"[{node.v6}]:{port}"
    lines = [":UPLINK - [0:0]", "-A PREROUTING -j UPLINK", "-A OUTPUT -j UPLINK"]
    lines += [f"-A UPLINK -d {network} -j RETURN" for network in plan.networks(version)]
    lines += [f"-A UPLINK -d {one} -j RETURN" for one in stand_ins if ip_address(one).version == version]
    lines.append("-A UPLINK -m addrtype --dst-type LOCAL -j RETURN")
    for resolver in resolvers:
        address = ip_address(resolver)
        if version == address.version == plan.dns.version and not plan.keeps(address):
            lines += [
                f"-A UPLINK -d {resolver} -p {protocol} --dport 53 -j DNAT --to-destination {plan.dns}:53"
                for protocol in ("udp", "tcp")
            ]
    return [*lines, f"-A UPLINK -p tcp -j DNAT --to-destination {relay}"]


class Uplink:
    """Takes the connections that leave the cluster and dials them in the host's network."""

    def __init__(self, network: HostNetwork, plan: AddressPlan) -> None:
        self._network = network
        self._plan = plan
        self._joined: set[asyncio.Task[None]] = set()
        self.ports: dict[int, int] = {}
        """IP version to the port of the first node where it listens; without 6 if the host has no IPv6."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """In the cluster's network namespace, which must be our own. Raises NetworkCommandFailed, OSError."""
        node = self._plan.node(0)
        servers = []
        try:
            for version, address in ((4, node.v4), (6, node.v6)):
                if version == 6 and not await self._network.reaches(_SOMEWHERE_V6):
                    continue
                # Packets of the node itself must have a route before rules can send them elsewhere.
                route = f"-{version} route add default dev node0 src {address}"
                await run_network_command(("ip", *route.split()), "")
                servers.append(await asyncio.start_server(self._serve, address, 0))
                self.ports[version] = servers[-1].sockets[0].getsockname()[1]
            yield
        finally:
            for server in servers:
                server.close()
            for task in tuple(self._joined):
                task.cancel()
            await asyncio.gather(*self._joined, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._joined) >= _MOST_CONNECTIONS:
            _reset(writer)
            return
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)
        with contextlib.suppress(asyncio.CancelledError):
            try:
                async with asyncio.timeout(_DIAL_WITHIN_S):
                    onward = await self._dial(writer.get_extra_info("socket"))
            except OSError:
                _reset(writer)
                return
            await _join((reader, writer), onward)

    async def _dial(self, accepted: socket.socket) -> Streams:
        host, port = _original_destination(accepted)
        if self._plan.keeps(ip_address(host)):
            raise PermissionError(f"{host} is not outside the cluster")
        onward = await self._network.socket(accepted.family, socket.SOCK_STREAM)
        try:
            await asyncio.get_running_loop().sock_connect(onward, (host, port))
            return await asyncio.open_connection(sock=onward)
        except BaseException:
            onward.close()
            raise


def _original_destination(accepted: socket.socket) -> tuple[str, int]:
    """Where the connection was going before a rule sent it here. Raises OSError."""
    if accepted.family == socket.AF_INET:
        level, layout = socket.IPPROTO_IP, struct.Struct("!2xH4s8x")
    else:
        level, layout = socket.IPPROTO_IPV6, struct.Struct("!2xH4x16s4x")
    port, address = layout.unpack(accepted.getsockopt(level, _SO_ORIGINAL_DST, layout.size))
    return socket.inet_ntop(accepted.family, address), port


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side sees a failure, not an end."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _join(one: Streams, other: Streams) -> None:
    """Carry bytes both ways until both have ended or one breaks."""
    try:
        await asyncio.gather(_pump(one[0], other[1]), _pump(other[0], one[1]))
    except OSError:
        pass
    finally:
        for _, writer in (one, other):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
