"""Answers of cluster DNS. Pure: what there is and a question in, records out.

Source: Kubernetes DNS-Based Service Discovery specification 1.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

import msgspec

Object = dict[str, Any]
DOMAIN = "cluster.local"


class Record(msgspec.Struct, frozen=True, order=True):
    """`kind` is A, AAAA, SRV, PTR or CNAME; an SRV's value is `port target`."""

    name: str
    kind: str
    value: str


class Zone(msgspec.Struct, frozen=True):
    """Every record of the cluster by lower-case name, and the namespaces pods have names in."""

    records: Mapping[str, tuple[Record, ...]]
    namespaces: frozenset[str]
    outside: Mapping[str, tuple[str, ...]] = {}
    """Names that stand in for the outside world, with their addresses."""


class Reply(msgspec.Struct, frozen=True):
    """`known` is whether the name exists, `ours` whether this server has the say over it."""

    records: tuple[Record, ...] = ()
    known: bool = True
    ours: bool = True


def make_zone(
    services: Iterable[Object],
    slices: Iterable[Object],
    namespaces: Iterable[Object],
    outside: Mapping[str, tuple[str, ...]],
) -> Zone:
    """From the objects of the API."""
    by_service: dict[tuple[str, str], list[Object]] = {}
    for one in slices:
        label = one["metadata"].get("labels", {}).get("kubernetes.io/service-name", "")
        by_service.setdefault((one["metadata"]["namespace"], label), []).append(one)
    found: dict[str, set[Record]] = {}
    for service in services:
        key = (service["metadata"]["namespace"], service["metadata"]["name"])
        for record in _service_records(service, by_service.get(key, ())):
            found.setdefault(record.name, set()).add(record)
    return Zone(
        {name: tuple(sorted(records)) for name, records in found.items()},
        frozenset(one["metadata"]["name"] for one in namespaces),
        {name.lower().rstrip("."): addresses for name, addresses in outside.items()},
    )


def answer(zone: Zone, name: str, kind: str) -> Reply:
    """`name` without its last dot. An alias within the cluster comes with what it leads to."""
    name = name.lower()
    if name in zone.outside:
        return Reply(_addresses(name, zone.outside[name], kind))
    if name.endswith((".in-addr.arpa", ".ip6.arpa")):
        pointers = _of_kind(zone.records.get(name, ()), kind)
        return Reply(pointers, known=name in zone.records, ours=name in zone.records)
    if name != DOMAIN and not name.endswith(f".{DOMAIN}"):
        return Reply(known=False, ours=False)
    records = zone.records.get(name)
    if records is not None:
        return Reply(_with_aliases(zone, records, kind))
    if (address := _pod_address(zone, name)) is not None:
        return Reply(_addresses(name, (address,), kind))
    return Reply(known=_is_parent(zone, name))


def _with_aliases(zone: Zone, records: tuple[Record, ...], kind: str) -> tuple[Record, ...]:
    aliases = _of_kind(records, "CNAME")
    if not aliases or kind == "CNAME":
        return _of_kind(records, kind)
    name = aliases[0].value.lower()
    outside = _addresses(name, zone.outside.get(name, ()), kind)
    return (*aliases, *_of_kind(zone.records.get(name, ()), kind), *outside)


def _of_kind(records: Iterable[Record], kind: str) -> tuple[Record, ...]:
    return tuple(record for record in records if record.kind == kind)


def _is_parent(zone: Zone, name: str) -> bool:
    if name in (DOMAIN, f"svc.{DOMAIN}", f"pod.{DOMAIN}"):
        return True
    labels = name.removesuffix(f".{DOMAIN}").split(".")
    if len(labels) == 2 and labels[1] in ("svc", "pod"):
        return labels[0] in zone.namespaces
    return any(other.endswith(f".{name}") for other in zone.records)


def _pod_address(zone: Zone, name: str) -> str | None:
    labels = name.removesuffix(f".{DOMAIN}").split(".")
    if len(labels) != 3 or labels[2] != "pod" or labels[1] not in zone.namespaces:
        return None
    for separator in (".", ":"):
        try:
            return str(ip_address(labels[0].replace("-", separator)))
        except ValueError:
            continue
    return None


def _service_records(service: Object, slices: Iterable[Object]) -> list[Record]:
    metadata, spec = service["metadata"], service["spec"]
    name = f"{metadata['name']}.{metadata['namespace']}.svc.{DOMAIN}".lower()
    if spec.get("type") == "ExternalName":
        return [Record(name, "CNAME", spec.get("externalName", "").rstrip("."))]
    own = spec.get("clusterIPs") or [spec.get("clusterIP", "None")]
    if own[0] == "None":
        return _headless(name, slices, publish_all=bool(spec.get("publishNotReadyAddresses")))
    records = [*_addresses(name, own, "A"), *_addresses(name, own, "AAAA")]
    records += [Record(ip_address(one).reverse_pointer, "PTR", name) for one in own]
    for port in spec.get("ports") or ():
        if port.get("name"):
            records.append(_srv(port["name"], port.get("protocol", "TCP"), port["port"], name, name))
    return records


def _headless(name: str, slices: Iterable[Object], *, publish_all: bool) -> list[Record]:
    records: list[Record] = []
    for one in slices:
        for endpoint in one.get("endpoints") or ():
            if not publish_all and not (endpoint.get("conditions") or {}).get("ready", True):
                continue
            for address in endpoint["addresses"]:
                host = endpoint.get("hostname") or address.replace(".", "-").replace(":", "-")
                target = f"{host}.{name}".lower()
                kind = "AAAA" if ":" in address else "A"
                records += [Record(name, kind, address), Record(target, kind, address)]
                if endpoint.get("hostname"):
                    records.append(Record(ip_address(address).reverse_pointer, "PTR", target))
                for port in one.get("ports") or ():
                    if port.get("name") and port.get("port"):
                        records.append(
                            _srv(port["name"], port.get("protocol", "TCP"), port["port"], name, target)
                        )
    return records


def _srv(port: str, protocol: str, number: int, name: str, target: str) -> Record:
    return Record(f"_{port}._{protocol}.{name}".lower(), "SRV", f"{number} {target}")


def _addresses(name: str, addresses: Iterable[str], kind: str) -> tuple[Record, ...]:
    version = {"A": 4, "AAAA": 6}.get(kind)
    return tuple(Record(name, kind, one) for one in addresses if ip_address(one).version == version)
