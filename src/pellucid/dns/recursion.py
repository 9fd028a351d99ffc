"""Asking other name servers.

Recursors are asked in order over the asker's own transport. The next one is tried when one doesn't answer in
time or answers with anything but NOERROR or NXDOMAIN.
Source: Consul 1.10 docs, `recursors`, `recursor_timeout`; agent/dns.go, `handleRecurse`. Each question goes
out with a fresh id from a fresh port, and only a reply that repeats both id and question counts: RFC 5452.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

import dnslib

from pellucid.dns.records import AAAA, CNAME, A, Rcode, Record, RecordType, labels_of, text_of
from pellucid.dns.settings import DnsSettings, parse_recursor
from pellucid.dns.trimming import Transport

MAX_ADDRESSES_AT_ONCE = 16
"""How many external names one answer may lead to; further ones stay without addresses."""

_HEADER_BYTES = 12
_MAX_DATAGRAM_BYTES = 65535
_ACCEPTED = frozenset({Rcode.NOERROR, Rcode.NXDOMAIN})


async def forward(packet: bytes, transport: Transport, settings: DnsSettings) -> bytes | None:
    """The first acceptable reply of the recursors to `packet`, under its own id; None when there is none."""
    for host, port in map(parse_recursor, settings.recursors):
        try:
            async with asyncio.timeout(settings.recursor_timeout_s):
                reply = await _ask(packet, transport, host, port)
        except (OSError, EOFError, TimeoutError):
            continue
        if reply[3] & 0xF in _ACCEPTED:
            return packet[:2] + reply[2:]
    return None


async def addresses_of(names: Sequence[str], settings: DnsSettings) -> dict[str, tuple[Record, ...]]:
    """The A records of external names, with the aliases on the way; names without an answer are left out."""
    wanted = names[:MAX_ADDRESSES_AT_ONCE]
    found = await asyncio.gather(*(_addresses(name, settings) for name in wanted))
    return {name: records for name, records in zip(wanted, found, strict=True) if records}


async def _addresses(name: str, settings: DnsSettings) -> tuple[Record, ...]:
    question = dnslib.DNSQuestion(dnslib.DNSLabel(labels_of(name)), RecordType.A)
    reply = await forward(bytes(dnslib.DNSRecord(q=question).pack()), Transport.UDP, settings)
    if reply is None:
        return ()
    try:
        parsed = dnslib.DNSRecord.parse(reply)
    except (dnslib.DNSError, RecursionError):
        return ()
    return tuple(_records(parsed.rr))


def _records(resources: Iterable[dnslib.RR]) -> Iterable[Record]:
    for each in resources:
        name = text_of(each.rname.label)
        match each.rtype:
            case RecordType.A:
                yield Record(name, each.ttl, A(IPv4Address(bytes(each.rdata.data))))
            case RecordType.AAAA:
                yield Record(name, each.ttl, AAAA(IPv6Address(bytes(each.rdata.data))))
            case RecordType.CNAME:
                yield Record(name, each.ttl, CNAME(text_of(each.rdata.label.label)))


async def _ask(packet: bytes, transport: Transport, host: str, port: int) -> bytes:
    """One recursor's reply to `packet`; raises OSError or EOFError when the exchange fails."""
    question = secrets.token_bytes(2) + packet[2:]
    exchange = _ask_udp if transport is Transport.UDP else _ask_tcp
    return await exchange(question, host, port)


async def _ask_udp(question: bytes, host: str, port: int) -> bytes:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as connection:
        connection.connect((host, port))
        await loop.sock_sendall(connection, question)
        while True:
            reply = await loop.sock_recv(connection, _MAX_DATAGRAM_BYTES)
            if _is_reply_to(reply, question):
                return reply


async def _ask_tcp(question: bytes, host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(struct.pack("!H", len(question)) + question)
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            reply = await reader.readexactly(length)
            if _is_reply_to(reply, question):
                return reply
    finally:
        writer.close()


def _is_reply_to(reply: bytes, question: bytes) -> bool:
    if len(reply) < _HEADER_BYTES or reply[:2] != question[:2] or not reply[2] & 0x80:
        return False
    name_end = question.index(0, _HEADER_BYTES)
    asked = slice(_HEADER_BYTES, name_end + 5)
    return reply[asked].lower() == question[asked].lower()
