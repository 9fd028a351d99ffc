"""What a question's name asks for.

Labels are read from right to left and the first keyword decides (`service`, `connect`, `ingress`, `node`,
`query`, `addr`, `virtual`). Left of it stands the object's name, right of it at most a datacenter, then the
domain.
Source: Consul 1.10 docs, "DNS Interface"; agent/dns.go, `doDispatch`. `virtual` is Consul 1.11's.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import msgspec

from pellucid.dns.records import RecordType
from pellucid.dns.settings import DnsSettings


class ServiceLookup(msgspec.Struct, frozen=True):
    """`[tag.]service.service` or `_service._tag.service`; an empty tag matches every instance."""

    service: str
    tag: str = ""


class ConnectLookup(msgspec.Struct, frozen=True):
    """`service.connect`."""

    service: str


class IngressLookup(msgspec.Struct, frozen=True):
    """`service.ingress`."""

    service: str


class NodeLookup(msgspec.Struct, frozen=True):
    """`node.node`; node names may contain dots."""

    node: str


class QueryLookup(msgspec.Struct, frozen=True):
    """`name.query`: a prepared query by name or id."""

    query: str


class AddressLookup(msgspec.Struct, frozen=True):
    """`<8 or 32 hex digits>.addr`: the address itself."""

    address: IPv4Address | IPv6Address


class VirtualLookup(msgspec.Struct, frozen=True):
    """`service.virtual`."""

    service: str


class ApexLookup(msgspec.Struct, frozen=True):
    """A question for the zone's SOA or NS."""


class ReverseLookup(msgspec.Struct, frozen=True):
    """A name under `arpa.`; the address is None when the name doesn't spell one."""

    address: IPv4Address | IPv6Address | None


class NoSuchName(msgspec.Struct, frozen=True):
    """A name in our zone that can't exist."""


class ForeignName(msgspec.Struct, frozen=True):
    """A name outside our zones, for the recursors."""


Lookup = (
    ServiceLookup
    | ConnectLookup
    | IngressLookup
    | NodeLookup
    | QueryLookup
    | AddressLookup
    | VirtualLookup
    | ApexLookup
    | ReverseLookup
    | NoSuchName
    | ForeignName
)

_KEYWORDS = frozenset({"service", "connect", "ingress", "node", "query", "addr", "virtual"})


def parse_name(labels: Sequence[str], qtype: int, settings: DnsSettings) -> tuple[Lookup, str]:
    """Say what a question is about.

    labels: the question's name, in lower case, without the root.
    Returns the lookup and the zone its answer's names belong to (with final dot); foreign and reverse names
    get the primary zone.
    """
    for zone in settings.zones:
        if tuple(labels[-len(zone) :]) == zone:
            return _in_zone(labels[: -len(zone)], qtype, settings.datacenter), ".".join(zone) + "."
    primary = ".".join(settings.zones[0]) + "."
    if labels and labels[-1] == "arpa":
        return ReverseLookup(_reversed_address(labels)), primary
    return ForeignName(), primary


def _in_zone(labels: Sequence[str], qtype: int, datacenter: str) -> Lookup:
    if qtype in (RecordType.SOA, RecordType.NS):
        return ApexLookup()
    for position in range(len(labels) - 1, -1, -1):
        label = labels[position]
        if label in _KEYWORDS:
            return _of_keyword(label, labels[:position], labels[position + 1 :], datacenter)
        if qtype == RecordType.SRV and label.startswith("_"):
            # RFC 2782 names may leave the keyword out.
            return _of_keyword("service", labels[: position + 1], labels[position + 1 :], datacenter)
    return NoSuchName()


def _of_keyword(keyword: str, parts: Sequence[str], suffix: Sequence[str], datacenter: str) -> Lookup:
    if not parts or list(suffix) not in ([], [datacenter.lower()]):
        return NoSuchName()
    match keyword:
        case "service":
            return _service(parts)
        case "connect":
            return ConnectLookup(parts[-1])
        case "ingress":
            return IngressLookup(parts[-1])
        case "virtual":
            return VirtualLookup(parts[-1])
        case "node":
            return NodeLookup(".".join(parts))
        case "query":
            return QueryLookup(".".join(parts))
        case _:
            return _literal_address(parts)


def _service(parts: Sequence[str]) -> Lookup:
    if len(parts) == 2 and parts[0].startswith("_") and parts[1].startswith("_"):
        tag = parts[1][1:]
        return ServiceLookup(parts[0][1:], "" if tag == "tcp" else tag)
    return ServiceLookup(parts[-1], ".".join(parts[:-1]))


def _literal_address(parts: Sequence[str]) -> Lookup:
    if len(parts) != 1 or len(parts[0]) not in (8, 32):
        return NoSuchName()
    try:
        packed = bytes.fromhex(parts[0])
    except ValueError:
        return NoSuchName()
    return AddressLookup(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed))


def _reversed_address(labels: Sequence[str]) -> IPv4Address | IPv6Address | None:
    digits = list(reversed(labels[:-2]))
    try:
        if labels[-2:-1] == ["in-addr"] and len(digits) == 4:
            return IPv4Address(".".join(digits))
        if labels[-2:-1] == ["ip6"] and len(digits) == 32 and all(len(digit) == 1 for digit in digits):
            return IPv6Address(bytes.fromhex("".join(digits)))
    except ValueError:
        return None
    return None
