"""Cluster DNS on port 53 of its service address, over UDP and TCP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import structlog
from dnslib import AAAA, CNAME, PTR, QTYPE, RCODE, RR, SRV, A, DNSRecord
from dnslib.dns import DNSError

from pellucid.localkube.api.store import Resources
from pellucid.localkube.network.dns_answers import Record, Reply, Zone, answer, make_zone
from pellucid.localkube.network.following import changes_of
from pellucid.localkube.types.kinds import ENDPOINT_SLICES, NAMESPACES, SERVICES

_TTL_S = 5
_UDP_BYTES = 512
_IDLE_S = 10
_UPSTREAM_S = 5.0
_log = structlog.get_logger(__name__)


class DnsServer:
    """Answers for the cluster's names, from the objects of the API.

    `outside` maps further names to addresses. Other names are asked of `upstream` (an address, port 53);
    where there is none, they do not exist.
    """

    def __init__(
        self,
        resources: Resources,
        address: str,
        *,
        outside: Mapping[str, tuple[str, ...]] | None = None,
        upstream: str = "",
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
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(self._address, self._port)
        )
        try:
            async with await asyncio.start_server(self._serve_stream, self._address, self._port):
                async for _ in changes_of(self._resources, (SERVICES, ENDPOINT_SLICES, NAMESPACES)):
                    self._refresh()
        finally:
            transport.close()

    def _refresh(self) -> None:
        select = self._resources.select
        self._zone = make_zone(
            select(SERVICES)[1], select(ENDPOINT_SLICES)[1], select(NAMESPACES)[1], self._outside
        )

    async def answer(self, query: bytes, *, limit: int) -> bytes:
        """The packet that answers a packet, cut to `limit` bytes; empty for one that can't be read."""
        try:
            asked = DNSRecord.parse(query)
        except (DNSError, ValueError, IndexError):
            return b""
        if asked.header.qr or not asked.questions:
            return b""
        reply = answer(self._zone, str(asked.q.qname).rstrip("."), QTYPE.get(asked.q.qtype))
        if not reply.ours and self._upstream:
            with contextlib.suppress(OSError, TimeoutError):
                return await _forward(query, self._upstream)
            return _failed(asked)
        return _packet(asked, reply, limit)

    def answer_datagram(self, query: bytes, client: Any, transport: asyncio.DatagramTransport) -> None:
        """Answer when the answer is known."""

        async def respond() -> None:
            if packet := await self.answer(query, limit=_UDP_BYTES):
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
                packet = await self.answer(query, limit=65_535)
                if not packet:
                    return
                writer.write(len(packet).to_bytes(2) + packet)
                await writer.drain()
        except (OSError, EOFError, TimeoutError):
            return
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._server.answer_datagram(data, addr, self._transport)


class _Answer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.content: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.content.done():
            self.content.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.content.done():
            self.content.set_exception(exc)


async def _forward(query: bytes, upstream: str) -> bytes:
    loop = asyncio.get_running_loop()
    transport, answered = await loop.create_datagram_endpoint(_Answer, remote_addr=(upstream, 53))
    try:
        transport.sendto(query)
        async with asyncio.timeout(_UPSTREAM_S):
            return await answered.content
    finally:
        transport.close()


def _failed(asked: DNSRecord) -> bytes:
    reply = asked.reply()
    reply.header.rcode = RCODE.SERVFAIL
    return bytes(reply.pack())


def _packet(asked: DNSRecord, given: Reply, limit: int) -> bytes:
    reply = asked.reply(aa=int(given.ours), ra=1)
    if not given.known:
        reply.header.rcode = RCODE.NXDOMAIN
    for record in given.records:
        reply.add_answer(RR(record.name, getattr(QTYPE, record.kind), rdata=_data(record), ttl=_TTL_S))
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
