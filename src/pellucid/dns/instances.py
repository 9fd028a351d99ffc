"""Records of service instances and nodes: addresses, SRV, and aliases to names elsewhere.

An instance is reached at its own address, else at its node's. An address that is a name, not an IP, becomes a
CNAME followed by what it leads to.
Source: Consul 1.10 agent/dns.go, `serviceNodeRecords`, `serviceSRVRecords`, `nodeServiceRecords`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from pellucid.dns.queries import Question
from pellucid.dns.records import (
    AAAA,
    CNAME,
    SRV,
    A,
    Record,
    RecordType,
    Reply,
    address_data,
    is_representable,
    labels_of,
)
from pellucid.dns.scene import Scene
from pellucid.dns.texts import meta_records
from pellucid.dns.view import Instance, Node
from pellucid.model.checks import CheckStatus

MAX_ALIAS_RECORDS = 5
"""How many records of an alias' target an answer carries along."""

Address = IPv4Address | IPv6Address | str
"""An IP address, or the full name of an external host (with final dot)."""


def address_reply(question: Question, instances: Sequence[Instance], ttl_s: int, scene: Scene) -> Reply:
    """The addresses of `instances`, in their order; an alias only when no instance has an IP address."""
    name = question.name
    limit = min(scene.settings.a_record_limit or scene.most_answers, scene.most_answers)
    records: dict[Record, None] = {}
    alias = ""
    for instance in instances:
        address = _address_of(instance, question.qtype)
        if isinstance(address, str):
            alias = alias or address
        elif question.accepts(address):
            records[Record(name, ttl_s, address_data(address))] = None
            if len(records) == limit:
                break
    if not records and alias and question.wants_address:
        return _alias_reply(question, alias, ttl_s, scene)
    return Reply(answer=tuple(records))


def service_reply(question: Question, instances: Sequence[Instance], ttl_s: int, scene: Scene) -> Reply:
    """SRV records of `instances`, in their order; additional: their targets' addresses and metadata."""
    name = question.name
    answer: dict[tuple[str, str, int], Record] = {}
    additional: dict[Record, None] = {}
    unresolved: dict[str, None] = {}
    follows_names = False
    for instance in instances:
        place = (instance.node.name, instance.address, instance.port)
        target = _service_target(instance, ttl_s, scene)
        if place in answer or not is_representable(target.name):
            continue
        data = SRV(1, _weight(instance), instance.port, target.name)
        answer[place] = Record(name, ttl_s, data)
        if target.addresses is None:
            unresolved[target.name] = None
        additional.update(dict.fromkeys(target.addresses or ()))
        follows_names = follows_names or target.is_alias
        if scene.settings.enable_additional_node_meta_txt:
            additional.update(dict.fromkeys(meta_records(target.name, instance.node.meta, ttl_s)))
        if len(answer) == scene.most_answers:
            break
    return Reply(
        answer=tuple(answer.values()),
        additional=tuple(additional),
        unresolved=tuple(unresolved),
        follows_names=follows_names,
    )


def node_reply(question: Question, node: Node, ttl_s: int, scene: Scene) -> Reply:
    """The address of a node."""
    address = _choose(node.address, node.tagged_addresses, question.qtype)
    if isinstance(address, str):
        return _alias_reply(question, address, ttl_s, scene)
    if not question.accepts(address):
        return Reply()
    return Reply(answer=(Record(question.name, ttl_s, address_data(address)),))


def _alias_reply(question: Question, target: str, ttl_s: int, scene: Scene) -> Reply:
    """A CNAME to `target` and what is known of it; nothing when the alias would point at itself."""
    if not is_representable(target) or labels_of(target) == question.labels:
        return Reply()
    found = scene.resolve(target, scene)
    alias = Record(question.name, ttl_s, CNAME(target))
    return Reply(
        answer=(alias, *_carried(found or (), ttl_s)),
        unresolved=(target,) if found is None else (),
        follows_names=True,
    )


def _carried(records: Sequence[Record], ttl_s: int) -> tuple[Record, ...]:
    """The part of an alias' records that travels with it, at the service's own TTL."""
    useful = [record for record in records if isinstance(record.data, A | AAAA | CNAME)]
    return tuple(msgspec.structs.replace(record, ttl_s=ttl_s) for record in useful[:MAX_ALIAS_RECORDS])


class _Target(msgspec.Struct, frozen=True):
    """Where an SRV record points."""

    name: str
    addresses: tuple[Record, ...] | None
    """None when only a recursor knows them."""
    is_alias: bool = False


def _service_target(instance: Instance, ttl_s: int, scene: Scene) -> _Target:
    address = _address_of(instance, RecordType.SRV)
    if not isinstance(address, str):
        name = scene.literal_name(address) if instance.address else scene.node_name(instance.node.name)
        return _Target(name, (Record(name, ttl_s, address_data(address)),))
    found = scene.resolve(address, scene) if is_representable(address) else ()
    return _Target(address, None if found is None else _carried(found, ttl_s), is_alias=True)


def _weight(instance: Instance) -> int:
    if instance.status is CheckStatus.WARNING:
        return instance.weight_warning
    return instance.weight_passing


def _address_of(instance: Instance, qtype: int) -> Address:
    if instance.address:
        return _choose(instance.address, instance.tagged_addresses, qtype)
    return _choose(instance.node.address, instance.node.tagged_addresses, qtype)


def _choose(address: str, tagged: Mapping[str, str], qtype: int) -> Address:
    """The address for a question's family, where a tagged address offers one; else the plain address."""
    main = _parsed(address)
    match qtype:
        case RecordType.A if not isinstance(main, IPv4Address):
            offered = tagged.get("lan_ipv4", "")
        case RecordType.AAAA if not isinstance(main, IPv6Address):
            offered = tagged.get("lan_ipv6", "")
        case _:
            offered = ""
    return _parsed(offered) if offered else main


def _parsed(address: str) -> Address:
    try:
        return ip_address(address)
    except ValueError:
        return address.strip(".") + "." if address.strip(".") else ""
