"""A reply as bytes.

Encoding is dnslib's, with two corrections in `_MessageBuffer`: a name behind the reach of a compression
pointer (14 bits) isn't offered for compression, and compression can be off.
Source: RFC 1035 section 4.1; RFC 6891 section 6.1; Consul 1.10 agent/dns.go, `setEDNS`.
"""

from __future__ import annotations

from struct import Struct

import dnslib
from dnslib.label import DNSBuffer, DNSLabel

from pellucid.dns.queries import CLIENT_SUBNET_OPTION, Edns, Malformed, Query, Question
from pellucid.dns.records import (
    AAAA,
    CNAME,
    MAX_TEXT_BYTES,
    NS,
    PTR,
    SOA,
    SRV,
    TXT,
    A,
    Data,
    Rcode,
    Record,
    RecordType,
    Reply,
    is_representable,
    labels_of,
)

_HEADER = Struct("!HHHHHH")
_RESPONSE = 0x8000
_AUTHORITATIVE = 0x0400
_TRUNCATED = 0x0200
_RECURSION_AVAILABLE = 0x0080
_KEPT_FROM_QUERY = 0x7910
"""Opcode, recursion desired, checking disabled."""
_POINTER = Struct("!H")
_POINTER_BITS = 0xC000
_POINTER_REACH = 0x3FFF


def encode_reply(
    query: Query, reply: Reply, *, authoritative: bool, recursion_available: bool, compress: bool = True
) -> bytes:
    """The reply to `query`; records whose names DNS can't carry are left out."""
    buffer = _MessageBuffer(compress)
    sections = [
        [_resource(each) for each in records if _is_representable(each)]
        for records in (reply.answer, reply.authority, reply.additional)
    ]
    flags = _RESPONSE | reply.rcode & 0xF
    flags |= _AUTHORITATIVE * authoritative
    flags |= _TRUNCATED * reply.truncated
    flags |= _RECURSION_AVAILABLE * recursion_available
    flags |= 0x0100 * query.recursion_desired | 0x0010 * query.checking_disabled
    answers, authorities, additionals = map(len, sections)
    buffer.append(
        _HEADER.pack(query.id, flags, 1, answers, authorities, additionals + (query.edns is not None))
    )
    _append_question(buffer, query.question, query.qclass)
    for resource in (resource for section in sections for resource in section):
        resource.pack(buffer)
    if query.edns is not None:
        _option(query.edns, reply.rcode).pack(buffer)
    return bytes(buffer.data)


def encode_refusal(malformed: Malformed) -> bytes:
    """The bare error reply to a packet that couldn't be read."""
    query_id, flags = _HEADER.unpack(malformed.header)[:2]
    return _HEADER.pack(query_id, _RESPONSE | flags & _KEPT_FROM_QUERY | malformed.rcode, 0, 0, 0, 0)


class _MessageBuffer(DNSBuffer):  # type: ignore[misc]
    """A buffer whose name compression is right beyond 16 KiB, or off."""

    def __init__(self, compress: bool) -> None:
        super().__init__()
        self._compress = compress
        self._known: dict[tuple[bytes, ...], int] = {}

    def encode_name(self, name: DNSLabel) -> None:
        labels: tuple[bytes, ...] = name.label
        for start, label in enumerate(labels):
            suffix = labels[start:]
            if suffix in self._known:
                self.append(_POINTER.pack(_POINTER_BITS | self._known[suffix]))
                return
            if self._compress and self.offset <= _POINTER_REACH:
                self._known[suffix] = self.offset
            self.append(bytes((len(label),)) + label)
        self.append(b"\0")


def _append_question(buffer: _MessageBuffer, question: Question, qclass: int) -> None:
    dnslib.DNSQuestion(DNSLabel(question.labels), question.qtype, qclass).pack(buffer)


def _is_representable(record: Record) -> bool:
    target = getattr(record.data, "target", "")
    return is_representable(record.name) and (not target or is_representable(target))


def _resource(record: Record) -> dnslib.RR:
    rtype, data = _resource_data(record.data)
    return dnslib.RR(_label(record.name), rtype, ttl=record.ttl_s, rdata=data)


def _resource_data(data: Data) -> tuple[int, dnslib.RD]:
    match data:
        case A():
            return RecordType.A, dnslib.A(tuple(data.address.packed))
        case AAAA():
            return RecordType.AAAA, dnslib.AAAA(tuple(data.address.packed))
        case CNAME():
            return RecordType.CNAME, dnslib.CNAME(_label(data.target))
        case NS():
            return RecordType.NS, dnslib.NS(_label(data.target))
        case PTR():
            return RecordType.PTR, dnslib.PTR(_label(data.target))
        case SRV():
            return RecordType.SRV, dnslib.SRV(data.priority, data.weight, data.port, _label(data.target))
        case TXT():
            return RecordType.TXT, dnslib.TXT(_character_strings(data.text))
        case SOA():
            times = (data.serial, data.refresh_s, data.retry_s, data.expire_s, data.minimum_s)
            return RecordType.SOA, dnslib.SOA(_label(data.mname), _label(data.rname), times)


def _character_strings(text: str) -> list[bytes]:
    encoded = text.encode("utf-8", "surrogateescape")
    return [encoded[start : start + MAX_TEXT_BYTES] for start in range(0, len(encoded), MAX_TEXT_BYTES)] or [
        b""
    ]


def _label(name: str) -> DNSLabel:
    return DNSLabel(labels_of(name))


def _option(edns: Edns, rcode: Rcode) -> dnslib.RR:
    """The EDNS option of a reply: the asker's own payload size, and its client subnet with scope 0."""
    options = []
    if edns.client_subnet:
        subnet = edns.client_subnet
        options.append(dnslib.EDNSOption(CLIENT_SUBNET_OPTION, subnet[:3] + b"\0" + subnet[4:]))
    flags = "do" if edns.dnssec_ok else ""
    return dnslib.EDNS0(udp_len=edns.udp_bytes, ext_rcode=rcode >> 4, flags=flags, opts=options)
