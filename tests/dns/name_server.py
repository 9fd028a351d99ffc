"""Name servers on loopback for asking: each behaves in one way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import dnslib

Behaviour = Callable[[dnslib.DNSRecord], list[dnslib.DNSRecord]]


class NameServer(asyncio.DatagramProtocol):
    """Answers each UDP query with the replies that `behaviour` makes of it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dnslib.DNSRecord.parse(data)
        self.asked.append(str(query.q.qname))
        for reply in self._behaviour(query):
            self._transport.sendto(bytes(reply.pack()), addr)

    @property
    def address(self) -> str:
        host, port = self._transport.get_extra_info("sockname")[:2]
        return f"{host}:{port}"


@asynccontextmanager
async def name_server(behaviour: Behaviour) -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(behaviour), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


def knows(query: dnslib.DNSRecord) -> list[dnslib.DNSRecord]:
    return [query.replyZone(f"{query.q.qname} 60 IN A 198.51.100.1")]


def fails(query: dnslib.DNSRecord) -> list[dnslib.DNSRecord]:
    reply = query.reply()
    reply.header.rcode = dnslib.RCODE.SERVFAIL
    return [reply]


def denies(query: dnslib.DNSRecord) -> list[dnslib.DNSRecord]:
    reply = query.reply()
    reply.header.rcode = dnslib.RCODE.NXDOMAIN
    return [reply]


def says_nothing(query: dnslib.DNSRecord) -> list[dnslib.DNSRecord]:
    return []


def forged_first(query: dnslib.DNSRecord) -> list[dnslib.DNSRecord]:
    other_id = query.replyZone(f"{query.q.qname} 60 IN A 203.0.113.66")
    other_id.header.id ^= 1
    other_name = dnslib.DNSRecord.question("other.example").replyZone("other.example 60 IN A 203.0.113.66")
    other_name.header.id = query.header.id
    return [other_id, other_name, *knows(query)]
