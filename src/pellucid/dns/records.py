"""Resource records and replies as values, before they become bytes.

Names are text in RFC 1035 presentation form with the final dot; a byte that could be mistaken is written
`\\DDD`.
Source: RFC 1035 (names, types), RFC 2782 (SRV), RFC 3596 (AAAA), RFC 6891 (rcodes).
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import msgspec

MAX_LABEL_BYTES = 63
MAX_NAME_BYTES = 255
"""On the wire: each label with its length byte, and the root's zero byte."""

MAX_TEXT_BYTES = 255
"""One character-string of a TXT record."""


class RecordType(IntEnum):
    """The types of records and questions that we give a meaning."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    TXT = 16
    AAAA = 28
    SRV = 33
    OPT = 41
    AXFR = 252
    ANY = 255


class Rcode(IntEnum):
    """How a question fared."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class A(msgspec.Struct, frozen=True):
    address: IPv4Address


class AAAA(msgspec.Struct, frozen=True):
    address: IPv6Address


class CNAME(msgspec.Struct, frozen=True):
    target: str


class NS(msgspec.Struct, frozen=True):
    target: str


class PTR(msgspec.Struct, frozen=True):
    target: str


class SRV(msgspec.Struct, frozen=True):
    priority: int
    weight: int
    port: int
    target: str


class TXT(msgspec.Struct, frozen=True):
    text: str


class SOA(msgspec.Struct, frozen=True):
    mname: str
    rname: str
    serial: int
    refresh_s: int
    retry_s: int
    expire_s: int
    minimum_s: int


Data = A | AAAA | CNAME | NS | PTR | SRV | TXT | SOA


class Record(msgspec.Struct, frozen=True):
    """One resource record of class IN."""

    name: str
    ttl_s: int
    data: Data


class Reply(msgspec.Struct, frozen=True):
    """What to say to a question."""

    rcode: Rcode = Rcode.NOERROR
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    truncated: bool = False
    unresolved: tuple[str, ...] = ()
    """Names outside our zones whose addresses would complete the answer."""
    follows_names: bool = False
    """True when parts come from other names than the question's, which change on their own."""


def address_data(address: IPv4Address | IPv6Address) -> A | AAAA:
    """The record data of an address."""
    return A(address) if isinstance(address, IPv4Address) else AAAA(address)


def text_of(labels: tuple[bytes, ...]) -> str:
    """Labels in presentation form: `(b"web", b"consul")` is `web.consul.`."""
    return "".join(_text_of_label(label) + "." for label in labels) or "."


@lru_cache(maxsize=8192)
def labels_of(name: str) -> tuple[bytes, ...]:
    """The labels of a name in presentation form, with or without its final dot."""
    if "\\" not in name:
        return (
            tuple(name.strip(".").encode("utf-8", "surrogateescape").split(b".")) if name.strip(".") else ()
        )
    return tuple(_bytes_of_label(label) for label in _LABEL.findall(name))


def name_size(name: str) -> int:
    """Bytes of a name on the wire when it isn't compressed."""
    return sum(len(label) + 1 for label in labels_of(name)) + 1


def is_representable(name: str) -> bool:
    """True when DNS can carry the name at all: no label empty or above 63 bytes, no more than 255 in all."""
    labels = labels_of(name)
    return name_size(name) <= MAX_NAME_BYTES and all(0 < len(label) <= MAX_LABEL_BYTES for label in labels)


_LABEL = re.compile(r"(?:\\\d{3}|\\.|[^.\\])+", re.DOTALL)
_ESCAPE = re.compile(rb"\\(\d{3})")
_PLAIN = re.compile(rb"[A-Za-z0-9_\-]+")


def _text_of_label(label: bytes) -> str:
    if _PLAIN.fullmatch(label):
        return label.decode("ascii")
    return "".join(chr(byte) if _PLAIN.fullmatch(bytes((byte,))) else f"\\{byte:03d}" for byte in label)


def _bytes_of_label(label: str) -> bytes:
    encoded = label.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda match: bytes((int(match[1]) & 0xFF,)), encoded)
