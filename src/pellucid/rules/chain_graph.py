"""Whether a config entry may be written or deleted, given all the others.

A write is refused when afterwards some discovery chain would not compile, an ingress listener would
face a service of another protocol, or an intention would judge requests of a service that has none:

- proxy-defaults: every chain that some entry shapes, all ingress gateways, all intentions.
- service-defaults, -router, -splitter, -resolver: the chain of that name and every chain that leads to
  it, with the ingress gateways and intentions in front of these.
- service-intentions: the destination's chain and the entry itself.
- ingress-gateway: the chains of the services it names, and strictly equal protocols.
- either gateway kind: no gateway of the other kind may have its name.

Consul checks every intention where this checks those that the write can touch; the answer is the same.

Source: Consul 1.10 agent/consul/state/config_entry.go (validateProposedConfigEntryInGraph).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

from pellucid.model.config_entries import (
    ConfigEntry,
    IngressGateway,
    ProxyDefaults,
    ServiceDefaults,
    ServiceIntentions,
    ServiceResolver,
    ServiceRouter,
    ServiceSplitter,
    TerminatingGateway,
)
from pellucid.model.go_text import quote
from pellucid.model.names import WILDCARD
from pellucid.rules.chain import compile_chain
from pellucid.rules.chain_nodes import ChainError
from pellucid.rules.compiled_chain import RESOLVER, CompiledDiscoveryChain
from pellucid.rules.protocol import TCP, is_http_like

_DATACENTER = "dc1"
_TRUST_DOMAIN = "b6fc9da3-03d4-4b5a-9134-c045e9b20152.consul"
"""Stands in for the real ones: whether a chain compiles does not depend on them."""

_SHAPING_KINDS = (ServiceDefaults.kind, ServiceRouter.kind, ServiceSplitter.kind, ServiceResolver.kind)
_GATEWAY_KINDS = (IngressGateway.kind, TerminatingGateway.kind)

_Entry = TypeVar("_Entry", bound=ConfigEntry)


class EntrySet:
    """All config entries at one moment. Variants with one entry more or less share the rest."""

    def __init__(self, entries: Iterable[ConfigEntry] = ()) -> None:
        by_kind: dict[str, dict[str, ConfigEntry]] = {}
        for entry in entries:
            by_kind.setdefault(entry.kind, {})[name_of(entry)] = entry
        self._by_kind: Mapping[str, Mapping[str, ConfigEntry]] = by_kind

    def with_entry(self, entry: ConfigEntry) -> EntrySet:
        """The set after `entry` was written."""
        return self._with_kind(entry.kind, {**self._named(entry.kind), name_of(entry): entry})

    def without(self, kind: str, name: str) -> EntrySet:
        """The set after an entry was deleted."""
        return self._with_kind(kind, {n: entry for n, entry in self._named(kind).items() if n != name})

    def find(self, kind: str, name: str) -> ConfigEntry | None:
        """The entry of that kind and name."""
        return self._named(kind).get(name)

    def of(self, kind: type[_Entry]) -> Iterator[_Entry]:
        """The entries of a kind, in order of name."""
        for _, entry in sorted(self._named(kind.kind).items()):
            assert isinstance(entry, kind)
            yield entry

    def _named(self, kind: str) -> Mapping[str, ConfigEntry]:
        return self._by_kind.get(kind, {})

    def _with_kind(self, kind: str, named: Mapping[str, ConfigEntry]) -> EntrySet:
        changed = EntrySet()
        changed._by_kind = {**self._by_kind, kind: named}
        return changed


def name_of(entry: ConfigEntry) -> str:
    """The name an entry is stored under; the `mesh` entry has no other than its kind."""
    name: str = getattr(entry, "name", entry.kind)
    return name


def check_write(before: EntrySet, entry: ConfigEntry) -> None:
    """Raise ChainError if `entry`, normalized and valid by itself, may not be written."""
    _check(before.with_entry(entry), entry.kind, name_of(entry), written=entry)


def check_delete(before: EntrySet, kind: str, name: str) -> None:
    """Raise ChainError if an entry may not be deleted; one that is not there may."""
    _check(before.without(kind, name), kind, name, written=None)


def references(entry: ServiceRouter | ServiceSplitter | ServiceResolver) -> frozenset[str]:
    """The services whose chains an entry leads to, its own included."""
    named = [entry.name]
    match entry:
        case ServiceRouter():
            named += [route.destination.service for route in entry.routes if route.destination]
        case ServiceSplitter():
            named += [split.service for split in entry.splits]
        case ServiceResolver():
            named += [entry.redirect.service] if entry.redirect else []
            named += [failover.service for failover in entry.failover.values()]
    return frozenset(filter(None, named))


def _check(after: EntrySet, kind: str, name: str, written: ConfigEntry | None) -> None:
    if kind in _GATEWAY_KINDS:
        _refuse_name_clash(after, name, kind)
    affected = tuple(_affected_services(after, kind, name, written))
    gateways = tuple(_gateways_to_check(after, kind, affected, written))
    intentions = tuple(_intentions_to_check(after, kind, affected, written))
    behind = (service for gateway in gateways for service in _services_behind(gateway))
    services = (*affected, *behind, *(entry.name for entry in intentions))
    chains = {service: _compiled(service, after) for service in dict.fromkeys(services)}
    for gateway in gateways:
        _check_ingress(gateway, chains, strictly=gateway is written)
    for entry in intentions:
        _check_intentions(entry, chains)


def _compiled(service: str, entries: EntrySet) -> CompiledDiscoveryChain:
    return compile_chain(service, entries.find, datacenter=_DATACENTER, trust_domain=_TRUST_DOMAIN)


def _affected_services(after: EntrySet, kind: str, name: str, written: ConfigEntry | None) -> Iterable[str]:
    """The services whose chains the write may have changed."""
    if kind == ProxyDefaults.kind:
        return sorted({entry.name for entry in _chain_entries(after)})
    if kind in _SHAPING_KINDS:
        return _name_and_referrers(after, name)
    if isinstance(written, TerminatingGateway):
        return (name,)
    return ()


def _chain_entries(entries: EntrySet) -> Iterator[ServiceRouter | ServiceSplitter | ServiceResolver]:
    yield from entries.of(ServiceRouter)
    yield from entries.of(ServiceSplitter)
    yield from entries.of(ServiceResolver)


def _name_and_referrers(entries: EntrySet, name: str) -> Iterable[str]:
    """The service, then the services whose chains lead to it, nearest first."""
    referrers: dict[str, set[str]] = {}
    for entry in _chain_entries(entries):
        for service in references(entry):
            referrers.setdefault(service, set()).add(entry.name)
    found = {name: None}
    waiting = [name]
    while waiting:
        nearer = sorted({each for service in waiting for each in referrers.get(service, ())} - found.keys())
        found |= dict.fromkeys(nearer)
        waiting = nearer
    return found


def _gateways_to_check(
    after: EntrySet, kind: str, affected: Collection[str], written: ConfigEntry | None
) -> Iterator[IngressGateway]:
    if isinstance(written, IngressGateway):
        yield written
    elif kind in (ProxyDefaults.kind, *_SHAPING_KINDS):
        for gateway in after.of(IngressGateway):
            if kind == ProxyDefaults.kind or not set(affected).isdisjoint(_services_behind(gateway)):
                yield gateway


def _intentions_to_check(
    after: EntrySet, kind: str, affected: Collection[str], written: ConfigEntry | None
) -> Iterator[ServiceIntentions]:
    """Those that judge requests; a wildcard destination has no protocol to agree with."""
    candidates: Iterable[ServiceIntentions] = ()
    if isinstance(written, ServiceIntentions):
        candidates = (written,)
    elif kind in (ProxyDefaults.kind, *_SHAPING_KINDS):
        candidates = after.of(ServiceIntentions)
    for entry in candidates:
        touched = entry is written or kind == ProxyDefaults.kind or entry.name in affected
        if touched and entry.has_permissions and entry.name != WILDCARD:
            yield entry


def _services_behind(gateway: IngressGateway) -> tuple[str, ...]:
    named = (service.name for listener in gateway.listeners for service in listener.services)
    return tuple(name for name in named if name != WILDCARD)


def _check_ingress(
    gateway: IngressGateway, chains: Mapping[str, CompiledDiscoveryChain], *, strictly: bool
) -> None:
    for listener in gateway.listeners:
        for service in listener.services:
            if service.name == WILDCARD or chains[service.name].protocol == listener.protocol:
                continue
            # A tcp listener may stay in front of a service that became more than tcp,
            # as long as there is nothing to route.
            if not strictly and listener.protocol == TCP and chains[service.name].start.type == RESOLVER:
                continue
            raise ChainError(
                f"service {quote(service.name)} has protocol {quote(chains[service.name].protocol)}, "
                f"which does not match defined listener protocol {quote(listener.protocol)}"
            )


def _check_intentions(entry: ServiceIntentions, chains: Mapping[str, CompiledDiscoveryChain]) -> None:
    protocol = chains[entry.name].protocol
    if not is_http_like(protocol):
        raise ChainError(
            f"service {quote(entry.name)} has protocol {quote(protocol)}, "
            "which is incompatible with L7 intentions permissions"
        )


def _refuse_name_clash(entries: EntrySet, name: str, kind: str) -> None:
    for other in _GATEWAY_KINDS:
        if other != kind and entries.find(other, name) is not None:
            raise ChainError(
                f"cannot create a {quote(kind)} config entry with name {quote(name)}, "
                f"a {quote(other)} config entry with that name already exists"
            )
