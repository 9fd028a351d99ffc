"""A small mesh held in memory, for asking DNS questions of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from random import Random

from pellucid.dns.answers import Recurse, answer
from pellucid.dns.names import ApexLookup, Lookup
from pellucid.dns.queries import Question
from pellucid.dns.records import Record, RecordType, Reply, labels_of
from pellucid.dns.settings import DnsSettings
from pellucid.dns.view import Instance, Node, Owner, OwnerKind, VirtualAddresses

NOW_S = 1_600_000_000.0
DEFAULTS = DnsSettings()


class Mesh:
    """A `View` whose content is set by tests; `reads` counts what was looked at."""

    def __init__(self) -> None:
        self.services: dict[str, tuple[Instance, ...]] = {}
        self.connect: dict[str, tuple[Instance, ...]] = {}
        self.ingress: dict[str, tuple[Instance, ...]] = {}
        self.nodes: dict[str, Node] = {}
        self.virtual: dict[str, VirtualAddresses] = {}
        self.reads: Counter[str] = Counter()

    def add(self, *instances: Instance) -> Mesh:
        for instance in instances:
            known = self.services.get(instance.service.lower(), ())
            self.services[instance.service.lower()] = (*known, instance)
            self.nodes[instance.node.name.lower()] = instance.node
        return self

    def service_instances(self, service: str) -> Sequence[Instance]:
        self.reads[service] += 1
        return self.services.get(service, ())

    def connect_instances(self, service: str) -> Sequence[Instance]:
        return self.connect.get(service, ())

    def ingress_instances(self, service: str) -> Sequence[Instance]:
        return self.ingress.get(service, ())

    def node(self, name: str) -> Node | None:
        return self.nodes.get(name)

    def virtual_addresses(self, service: str) -> VirtualAddresses | None:
        return self.virtual.get(service)

    def owner(self, address: IPv4Address | IPv6Address) -> Owner | None:
        for node in self.nodes.values():
            if ip_address(node.address) == address:
                return Owner(OwnerKind.NODE, node.name)
        for instances in self.services.values():
            for instance in instances:
                if instance.address and ip_address(instance.address) == address:
                    return Owner(OwnerKind.SERVICE, instance.service)
        for service, addresses in self.virtual.items():
            if address in (addresses.v4, addresses.v6):
                return Owner(OwnerKind.VIRTUAL, service)
        return None

    def version(self, lookup: Lookup) -> object:
        name = "consul" if isinstance(lookup, ApexLookup) else getattr(lookup, "service", "")
        return (self.services.get(name), self.virtual.get(name), tuple(self.nodes.values()))

    def ask(
        self,
        name: str,
        qtype: RecordType = RecordType.A,
        settings: DnsSettings = DEFAULTS,
        external: dict[str, tuple[Record, ...]] | None = None,
        seed: int = 1,
    ) -> Reply | Recurse:
        question = Question(labels_of(name), qtype)
        rng = Random(seed)
        return answer(question, self, settings, now_s=NOW_S, rng=rng, external=external or {})

    def reply(self, name: str, qtype: RecordType = RecordType.A, settings: DnsSettings = DEFAULTS) -> Reply:
        reply = self.ask(name, qtype, settings)
        assert isinstance(reply, Reply)
        return reply


def web(number: int, **fields: object) -> Instance:
    """Instance `number` of `web`, on node `n<number>` at 10.0.x.y, port 8080."""
    node = Node(f"n{number}", f"10.0.{number // 250}.{number % 250 + 1}")
    return Instance("web", **{"node": node, "port": 8080, **fields})  # type: ignore[arg-type]
