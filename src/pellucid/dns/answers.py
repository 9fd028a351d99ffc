"""The answer to a question: pure, over the view.

`answer` finds out what the name asks for and builds the reply's sections. It does no I/O: when an answer
leads to a name outside our zones, the reply lists it as unresolved, and the caller may ask again with the
records it found.
Source: Consul 1.10 agent/dns.go; RFC 2308 (SOA in negative answers), RFC 1464 (TXT attributes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from random import Random
from types import MappingProxyType

import msgspec

from pellucid.dns.instances import address_reply, node_reply, service_reply
from pellucid.dns.names import (
    AddressLookup,
    ApexLookup,
    ConnectLookup,
    ForeignName,
    IngressLookup,
    Lookup,
    NodeLookup,
    NoSuchName,
    QueryLookup,
    ReverseLookup,
    ServiceLookup,
    VirtualLookup,
    parse_name,
)
from pellucid.dns.queries import Question
from pellucid.dns.records import (
    NS,
    PTR,
    SOA,
    A,
    Rcode,
    Record,
    RecordType,
    Reply,
    address_data,
    labels_of,
)
from pellucid.dns.scene import MAX_INTERNAL_ALIASES, Scene
from pellucid.dns.settings import DnsSettings
from pellucid.dns.texts import meta_records
from pellucid.dns.view import Instance, OwnerKind, View
from pellucid.model.checks import CheckStatus
from pellucid.model.names import SERVER_SERVICE

MAX_NAME_SERVERS = 3
MAX_ANSWERS = 65535
"""What a message can count."""
NO_EXTERNAL: Mapping[str, tuple[Record, ...]] = MappingProxyType({})


class Recurse(msgspec.Struct, frozen=True):
    """The question isn't ours to answer; ask the recursors, and without any say `otherwise`."""

    otherwise: Rcode


def answer(
    question: Question,
    view: View,
    settings: DnsSettings,
    *,
    now_s: float,
    rng: Random,
    external: Mapping[str, tuple[Record, ...]] = NO_EXTERNAL,
    most_answers: int = MAX_ANSWERS,
) -> Reply | Recurse:
    """Answer `question` from `view`.

    now_s: Unix time, for the SOA's serial. rng: shuffles instances. external: records already found for names
    outside our zones, by name with its final dot. most_answers: how many records of instances are worth
    building.
    """
    lookup, zone = parse_name(question.lookup_labels(), question.qtype, settings)
    scene = Scene(
        view=view,
        settings=settings,
        zone=zone,
        now_s=now_s,
        rng=rng,
        external=external,
        resolve=_resolve_alias,
        most_answers=most_answers,
        aliases_left=MAX_INTERNAL_ALIASES,
    )
    return _answer_lookup(question, lookup, scene)


def _answer_lookup(question: Question, lookup: Lookup, scene: Scene) -> Reply | Recurse:
    if question.qtype == RecordType.AXFR and not isinstance(lookup, ForeignName):
        return Reply(Rcode.NOTIMP)
    match lookup:
        case ServiceLookup():
            return _service(question, lookup, scene)
        case ConnectLookup(service):
            return _instances(question, service, scene.view.connect_instances(service), scene)
        case IngressLookup(service):
            return _instances(question, service, scene.view.ingress_instances(service), scene)
        case VirtualLookup(service):
            return _virtual(question, service, scene) or _no_such_name(scene)
        case NodeLookup(node):
            return _node(question, node, scene)
        case AddressLookup(address):
            return _literal_address(question, address, scene)
        case ReverseLookup(reversed_address):
            return _reverse(question, reversed_address, scene)
        case ApexLookup():
            return _apex(question, scene)
        case ForeignName():
            return Recurse(Rcode.REFUSED)
        case NoSuchName() | QueryLookup():
            return _no_such_name(scene)


def _service(question: Question, lookup: ServiceLookup, scene: Scene) -> Reply:
    if scene.settings.service_names_resolve_to_virtual and not lookup.tag and question.wants_address:
        virtual = _virtual(question, lookup.service, scene)
        if virtual is not None:
            return virtual
    instances = scene.view.service_instances(lookup.service)
    if lookup.tag:
        instances = [each for each in instances if lookup.tag in (tag.lower() for tag in each.tags)]
    return _instances(question, lookup.service, instances, scene)


def _instances(question: Question, service: str, instances: Sequence[Instance], scene: Scene) -> Reply:
    refused = {CheckStatus.CRITICAL}
    if scene.settings.only_passing:
        refused.add(CheckStatus.WARNING)
    healthy = [instance for instance in instances if instance.status not in refused]
    if not healthy:
        return _no_such_name(scene)
    scene.rng.shuffle(healthy)
    ttl_s = scene.settings.service_ttl(service)
    build = service_reply if question.qtype == RecordType.SRV else address_reply
    return _or_no_data(build(question, healthy, ttl_s, scene), scene)


def _virtual(question: Question, service: str, scene: Scene) -> Reply | None:
    """The service's virtual addresses of the asked family; None when it has none of either family."""
    addresses = scene.view.virtual_addresses(service)
    if addresses is None:
        return None
    records = tuple(
        Record(question.name, scene.settings.node_ttl_s, address_data(address))
        for address in (addresses.v4, addresses.v6)
        if address is not None and question.accepts(address)
    )
    return _or_no_data(Reply(answer=records), scene)


def _node(question: Question, name: str, scene: Scene) -> Reply:
    node = scene.view.node(name)
    if node is None:
        return _no_such_name(scene)
    ttl_s = scene.settings.node_ttl_s
    asks_text = question.qtype in (RecordType.TXT, RecordType.ANY)
    if not (question.wants_address or asks_text):
        return _or_no_data(Reply(), scene)
    texts: tuple[Record, ...] = ()
    if asks_text or scene.settings.enable_additional_node_meta_txt:
        texts = meta_records(question.name, node.meta, ttl_s)
    reply = Reply() if question.qtype == RecordType.TXT else node_reply(question, node, ttl_s, scene)
    section = "answer" if asks_text else "additional"
    reply = msgspec.structs.replace(reply, **{section: getattr(reply, section) + texts})
    return _or_no_data(reply, scene)


def _literal_address(question: Question, address: IPv4Address | IPv6Address, scene: Scene) -> Reply:
    record = Record(question.name, scene.settings.node_ttl_s, address_data(address))
    own_type = RecordType.A if isinstance(record.data, A) else RecordType.AAAA
    if question.qtype in (own_type, RecordType.ANY):
        return Reply(answer=(record,))
    return Reply(additional=(record,))


def _reverse(question: Question, address: IPv4Address | IPv6Address | None, scene: Scene) -> Reply | Recurse:
    owner = scene.view.owner(address) if address is not None else None
    if owner is None:
        return Recurse(Rcode.SERVFAIL)
    datacenter = f"{scene.settings.datacenter}." if owner.kind is not OwnerKind.VIRTUAL else ""
    target = f"{owner.name}.{owner.kind}.{datacenter}{scene.zone}"
    return Reply(answer=(Record(question.name, 0, PTR(target)),))


def _apex(question: Question, scene: Scene) -> Reply:
    servers, glue = _name_servers(scene)
    if question.qtype == RecordType.SOA:
        return Reply(answer=(_soa(scene),), authority=servers, additional=glue)
    return Reply(answer=servers, additional=glue)


def _name_servers(scene: Scene) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """NS records of up to three servers in random order, and their addresses."""
    candidates = [
        instance.node
        for instance in scene.view.service_instances(SERVER_SERVICE)
        if instance.status is not CheckStatus.CRITICAL
        and instance.node.name.replace("-", "").isalnum()
        and instance.node.name.isascii()
    ]
    scene.rng.shuffle(candidates)
    ttl_s = scene.settings.node_ttl_s
    servers: list[Record] = []
    glue: list[Record] = []
    for node in candidates[:MAX_NAME_SERVERS]:
        name = scene.node_name(node.name).lower()
        servers.append(Record(scene.zone, ttl_s, NS(name)))
        glue.extend(node_reply(Question(labels_of(name), RecordType.ANY), node, ttl_s, scene).answer)
    return tuple(servers), tuple(glue)


def _soa(scene: Scene) -> Record:
    soa = scene.settings.soa
    data = SOA(
        mname=f"ns.{scene.zone}",
        rname=f"hostmaster.{scene.zone}",
        serial=int(scene.now_s) & 0xFFFFFFFF,
        refresh_s=soa.refresh_s,
        retry_s=soa.retry_s,
        expire_s=soa.expire_s,
        minimum_s=soa.min_ttl_s,
    )
    return Record(scene.zone, soa.min_ttl_s, data)


def _no_such_name(scene: Scene) -> Reply:
    return Reply(Rcode.NXDOMAIN, authority=(_soa(scene),))


def _or_no_data(reply: Reply, scene: Scene) -> Reply:
    if reply.answer:
        return reply
    return msgspec.structs.replace(reply, authority=(_soa(scene),))


def _resolve_alias(name: str, scene: Scene) -> tuple[Record, ...] | None:
    """The records of a name that an answer leads to; None when it is outside our zones and not found yet."""
    question = Question(labels_of(name), RecordType.ANY)
    lookup, zone = parse_name(question.lookup_labels(), question.qtype, scene.settings)
    if isinstance(lookup, ForeignName | ReverseLookup):
        return scene.external.get(name)
    if scene.aliases_left == 0:
        return ()
    inner = msgspec.structs.replace(scene, zone=zone, aliases_left=scene.aliases_left - 1)
    reply = _answer_lookup(question, lookup, inner)
    return reply.answer if isinstance(reply, Reply) else ()
