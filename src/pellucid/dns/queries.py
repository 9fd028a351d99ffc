"""A query packet as a value.

Read by hand and strictly: one question, whose name may not be compressed (nothing stands before it that a
pointer could mean), so no packet can make the reader loop.
Source: RFC 1035 section 4.1; RFC 6891 (EDNS); RFC 7871 (client subnet). What is refused and what is ignored
follows the DNS library that Consul uses, miekg/dns `acceptfunc.go`.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import msgspec

from pellucid.dns.records import MAX_LABEL_BYTES, MAX_NAME_BYTES, Rcode, RecordType, text_of

CLASS_IN = 1
CLASS_ANY = 255
CLIENT_SUBNET_OPTION = 8
MAX_CLIENT_SUBNET_BYTES = 20

_HEADER = struct.Struct("!HHHHHH")
_QUESTION_TAIL = struct.Struct("!HH")
_RECORD_HEAD = struct.Struct("!HHIH")
_OPTION_HEAD = struct.Struct("!HH")
_RESPONSE_BIT = 0x8000
_OPCODE_MASK = 0x7800
_RECURSION_DESIRED_BIT = 0x0100
_CHECKING_DISABLED_BIT = 0x0010
_DNSSEC_OK_BIT = 0x8000


class Question(msgspec.Struct, frozen=True):
    """One question of class IN; the labels keep the asker's spelling."""

    labels: tuple[bytes, ...]
    qtype: int

    @property
    def name(self) -> str:
        """The name in presentation form."""
        return text_of(self.labels)

    @property
    def wants_address(self) -> bool:
        """True when an address of some family answers it."""
        return self.qtype in (RecordType.A, RecordType.AAAA, RecordType.ANY)

    def lookup_labels(self) -> list[str]:
        """The labels as names are compared: lower-case text."""
        return [label.decode("utf-8", "replace").lower() for label in self.labels]

    def accepts(self, address: IPv4Address | IPv6Address) -> bool:
        """True when a record of this address belongs in the answer."""
        own_type = RecordType.A if isinstance(address, IPv4Address) else RecordType.AAAA
        return self.qtype in (own_type, RecordType.ANY)


class Edns(msgspec.Struct, frozen=True):
    """What the asker's EDNS option says."""

    udp_bytes: int
    """The largest UDP payload it takes."""
    version: int = 0
    dnssec_ok: bool = False
    client_subnet: bytes = b""
    """The client-subnet option's data, echoed in the reply; empty when absent."""


class Query(msgspec.Struct, frozen=True):
    """A well-formed query."""

    id: int
    question: Question
    qclass: int = CLASS_IN
    recursion_desired: bool = True
    checking_disabled: bool = False
    edns: Edns | None = None


class Malformed(msgspec.Struct, frozen=True):
    """A packet that deserves an error reply: `header` is its first 12 bytes."""

    header: bytes
    rcode: Rcode


def decode_query(packet: bytes) -> Query | Malformed | None:
    """Read a packet; None for what must not be answered at all: fragments of a header, and replies."""
    if len(packet) < _HEADER.size:
        return None
    query_id, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(packet)
    if flags & _RESPONSE_BIT:
        return None
    header = packet[: _HEADER.size]
    if flags & _OPCODE_MASK:
        return Malformed(header, Rcode.NOTIMP)
    if questions != 1 or answers or authorities or additionals > 2:
        return Malformed(header, Rcode.FORMERR)
    try:
        labels, position = _read_name(packet, _HEADER.size)
        qtype, qclass = _QUESTION_TAIL.unpack_from(packet, position)
        edns = _read_edns(packet, position + _QUESTION_TAIL.size, additionals)
    except (_BadPacketError, IndexError, struct.error):
        return Malformed(header, Rcode.FORMERR)
    return Query(
        id=query_id,
        question=Question(labels, qtype),
        qclass=qclass,
        recursion_desired=bool(flags & _RECURSION_DESIRED_BIT),
        checking_disabled=bool(flags & _CHECKING_DISABLED_BIT),
        edns=edns,
    )


class _BadPacketError(Exception):
    """The packet breaks the message format."""


def _read_name(packet: bytes, position: int) -> tuple[tuple[bytes, ...], int]:
    """The uncompressed name at `position`, and the position behind it."""
    labels: list[bytes] = []
    start = position
    while length := packet[position]:
        end = position + 1 + length
        if length > MAX_LABEL_BYTES or end - start >= MAX_NAME_BYTES or end >= len(packet):
            raise _BadPacketError
        labels.append(packet[position + 1 : end])
        position = end
    return tuple(labels), position + 1


def _read_edns(packet: bytes, position: int, count: int) -> Edns | None:
    """The OPT pseudo-record among `count` additional records with uncompressed names."""
    found: Edns | None = None
    for _ in range(count):
        labels, position = _read_name(packet, position)
        rtype, udp_bytes, extended, length = _RECORD_HEAD.unpack_from(packet, position)
        position += _RECORD_HEAD.size
        data = packet[position : position + length]
        position += length
        if len(data) < length:
            raise _BadPacketError
        if rtype == RecordType.OPT:
            if labels or found:
                raise _BadPacketError
            found = Edns(udp_bytes, extended >> 16 & 0xFF, bool(extended & _DNSSEC_OK_BIT), _subnet(data))
    return found


def _subnet(options: bytes) -> bytes:
    """The data of the client-subnet option among an OPT record's options."""
    position = 0
    while position < len(options):
        code, length = _OPTION_HEAD.unpack_from(options, position)
        position += _OPTION_HEAD.size
        data = options[position : position + length]
        if len(data) < length:
            raise _BadPacketError
        if code == CLIENT_SUBNET_OPTION:
            if not 4 <= length <= MAX_CLIENT_SUBNET_BYTES:
                raise _BadPacketError
            return data
        position += length
    return b""
