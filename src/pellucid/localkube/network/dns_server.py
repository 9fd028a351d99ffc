"""Cluster DNS on port 53 of its service address, over UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from dnslib import AAAA, CNAME, PTR, QTYPE, RCODE, RR, SRV, A, DNSRecord
from dnslib.dns import DNSError

from pellucid.localkube.api.store import Resources
from pellucid.localkube.network.dns_answers import Record, Reply, Zone, answer, make_zone
from pellucid.localkube.network.following import changes_of
from pellucid.localkube.types.kinds import ENDPOINT_SLICES, NAMESPACES, SERVICES

_TTL_S = 5
_UDP_BYTES = 512
_STREAM_BYTES = 65_535
_MOST_OUTSTANDING = 1024
_IDLE_S = 10
_BIND_ATTEMPTS, _BIND_AGAIN_S = 20, 0.25


class Upstream(Protocol):
    """Asks somebody else."""

    async def __call__(self, query: bytes, *, stream: bool) -> bytes:
        """The answering packet, which without `stream` may be cut. Raises OSError."""


class DnsServer:
    """Answers for the cluster's names, from the objects of the API.

    `outside` maps further names to addresses. Other names are asked of `upstream`; where there is none,
    they do not exist.
    """

    def __init__(
        self,
        resources: Resources,
        address: str,
        *,
        outside: Mapping[str, tuple[str, ...]] | None = None,
        upstream: Upstream | None = None,
        port: int = 53,
    ) -> None:
        self._resources = resources
        self._address = address
        self._port = port
        self._outside = dict(outside or {})
        self._upstream = upstream
        self._zone = Zone({}, frozenset())
        self._forwarding: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled. Raises OSError if the address cannot be listened on."""
        self._refresh()
        datagrams, listener = await self._sockets()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
        try:
            async with await asyncio.start_server(self._serve_stream, sock=listener):
                async for _ in changes_of(self._resources, (SERVICES, ENDPOINT_SLICES, NAMESPACES)):
                    self._refresh()
        finally:
            transport.close()

    async def _sockets(self) -> tuple[socket.socket, socket.socket]:
        """Both, or neither. A port that somebody is about to give back is waited for."""
        for left in reversed(range(_BIND_ATTEMPTS)):
            try:
                return _bound(self._address, self._port)
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE or not left:
                    raise OSError(
                        problem.errno, f"cluster DNS cannot listen on {self._address}:{self._port}: {problem}"
                    ) from None
            await asyncio.sleep(_BIND_AGAIN_S)
        raise AssertionError("the last attempt returns or raises")

    def _refresh(self) -> None:
        select = self._resources.select
        self._zone = make_zone(
            select(SERVICES)[1], select(ENDPOINT_SLICES)[1], select(NAMESPACES)[1], self._outside
        )

    async def answer(self, query: bytes, *, stream: bool) -> bytes:
        """The packet that answers a packet, cut to a datagram's size unless it goes over a stream.

        Empty for a query that can't be read.
        """
        try:
            asked = DNSRecord.parse(query)
        except (DNSError, ValueError, IndexError):
            return b""
        if asked.header.qr or not asked.questions:
            return b""
        reply = answer(self._zone, str(asked.q.qname).rstrip("."), QTYPE.get(asked.q.qtype))
        if not reply.ours and self._upstream:
            with contextlib.suppress(OSError):
                return await self._upstream(query, stream=stream)
            return _failed(asked)
        more = await self._behind_alias(asked, reply)
        return _packet(asked, reply, more, _STREAM_BYTES if stream else _UDP_BYTES)

    async def _behind_alias(self, asked: DNSRecord, reply: Reply) -> list[RR]:
        """What an alias that leads out of the cluster leads to."""
        alias = reply.records[-1] if reply.records else None
        kind = QTYPE.get(asked.q.qtype)
        if self._upstream is None or alias is None or alias.kind != "CNAME" or kind not in ("A", "AAAA"):
            return []
        if answer(self._zone, alias.value, kind).ours:
            return []
        try:
            answered = await self._upstream(DNSRecord.question(alias.value, kind).pack(), stream=True)
            return list(DNSRecord.parse(answered).rr)
        except (OSError, DNSError, ValueError, IndexError):
            return []

    def answer_datagram(self, query: bytes, client: Any, transport: asyncio.DatagramTransport) -> None:
        """Answer when the answer is known; more questions at once than can be kept are dropped."""
        if len(self._forwarding) >= _MOST_OUTSTANDING:
            return

        async def respond() -> None:
            if packet := await self.answer(query, stream=False):
                transport.sendto(packet, client)

        task = asyncio.ensure_future(respond())
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                async with asyncio.timeout(_IDLE_S):
                    length = int.from_bytes(await reader.readexactly(2))
                    query = await reader.readexactly(length)
                packet = await self.answer(query, stream=True)
                if not packet:
                    return
                writer.write(len(packet).to_bytes(2) + packet)
                await writer.drain()
        except (OSError, EOFError, TimeoutError):
            return
        finally:
            writer.close()


def _bound(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    listener = socket.create_server((address, port), backlog=128)
    datagrams = socket.socket(listener.family, socket.SOCK_DGRAM)
    try:
        datagrams.bind((address, listener.getsockname()[1]))
    except OSError:
        datagrams.close()
        listener.close()
        raise
    return datagrams, listener


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._server.answer_datagram(data, addr, self._transport)


def _failed(asked: DNSRecord) -> bytes:
    reply = asked.reply()
    reply.header.rcode = RCODE.SERVFAIL
    return bytes(reply.pack())


def _packet(asked: DNSRecord, given: Reply, more: Sequence[RR], limit: int) -> bytes:
    reply = asked.reply(aa=int(given.ours), ra=1)
    if not given.known:
        reply.header.rcode = RCODE.NXDOMAIN
    for record in given.records:
        reply.add_answer(RR(record.name, getattr(QTYPE, record.kind), rdata=_data(record), ttl=_TTL_S))
    reply.add_answer(*more)
    packet = bytes(reply.pack())
    if len(packet) > limit:
        packet = bytes(reply.truncate().pack())
    return packet


def _data(record: Record) -> Any:
    match record.kind:
        case "A":
            return A(record.value)
        case "AAAA":
            return AAAA(record.value)
        case "SRV":
            port, target = record.value.split()
            return SRV(0, 100, int(port), target)
        case "PTR":
            return PTR(record.value)
        case _:
            return CNAME(record.value)
