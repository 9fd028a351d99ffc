"""Who calls a service and whom it calls, by registration and by intention.

Source: Consul 1.10 agent/consul/state/catalog.go (ServiceTopology), agent/ui_endpoint.go.
"""

from __future__ import annotations

import msgspec

from pellucid.derive.catalog import CheckedInstance, connect_instances, instances, with_checks
from pellucid.derive.effective import service_protocol
from pellucid.derive.engine import Db, query
from pellucid.derive.gateways import gateway_services
from pellucid.derive.instances import typical_services
from pellucid.derive.intentions import default_policy, verdict
from pellucid.derive.service_summaries import EXTERNAL_SOURCE, ServiceSummary, summarize
from pellucid.model.config_entries.service_intentions import ALLOW
from pellucid.model.intentions import Intention
from pellucid.model.names import WILDCARD
from pellucid.rules.effective import TRANSPARENT
from pellucid.rules.intentions import Verdict
from pellucid.state.mesh_tables import SERVICES

REGISTRATION = "proxy-registration"
SPECIFIC = "specific-intention"
WILDCARDED = "wildcard-intention"
DEFAULT = "default-allow"


class Decision(msgspec.Struct, frozen=True):
    """What intentions say of one pair, in short."""

    allowed: bool
    has_permissions: bool
    external_source: str
    has_exact: bool
    default_allow: bool


class Neighbour(msgspec.Struct, frozen=True):
    """A service next to another, and how it came to be there."""

    summary: ServiceSummary
    source: str
    decision: Decision


class Topology(msgspec.Struct, frozen=True):
    """A service with its neighbours, each side in order of name."""

    protocol: str
    transparent: bool
    upstreams: tuple[Neighbour, ...]
    downstreams: tuple[Neighbour, ...]


@query
def topology(db: Db, service: str, kind: str) -> Topology:
    """The neighbours of a service (kind `""`) or of an ingress gateway."""
    if kind:
        behind = dict.fromkeys(row.service for row in gateway_services(db, service))
        upstreams = tuple(_neighbour(db, service, name, name, REGISTRATION) for name in behind)
        return Topology("", False, upstreams, ())
    return Topology(
        protocol=service_protocol(db, service),
        transparent=is_transparent(db, service),
        upstreams=tuple(
            _neighbour(db, service, name, name, source) for name, source in _upstreams(db, service)
        ),
        downstreams=tuple(
            _neighbour(db, name, service, name, source) for name, source in _downstreams(db, service)
        ),
    )


@query
def is_transparent(db: Db, service: str) -> bool:
    """True if the service has sidecars and all of them are in transparent mode."""
    modes = [
        instance.proxy.mode
        for instance in connect_instances(db, service).rows
        if instance.proxy.destination_service_name == service
    ]
    return bool(modes) and all(mode == TRANSPARENT for mode in modes)


@query
def _registered_upstreams(db: Db, service: str) -> tuple[str, ...]:
    names = {
        upstream.destination_name
        for stored in db.rows(SERVICES, "connect", service)
        for upstream in stored.value.proxy.upstreams
        if upstream.destination_type == "service"
    }
    return tuple(sorted(names))


@query
def _registered_downstreams(db: Db) -> dict[str, tuple[str, ...]]:
    """By service: the services whose sidecars name it as an upstream."""
    found: dict[str, set[str]] = {}
    for stored in db.rows(SERVICES, "kind", "connect-proxy"):
        proxy = stored.value.proxy
        for upstream in proxy.upstreams:
            found.setdefault(upstream.destination_name, set()).add(proxy.destination_service_name)
    return {name: tuple(sorted(callers)) for name, callers in found.items()}


def _upstreams(db: Db, service: str) -> list[tuple[str, str]]:
    found = dict.fromkeys(_registered_upstreams(db, service), REGISTRATION)
    if is_transparent(db, service):
        for name in typical_services(db):
            decision = verdict(db, service, name)
            if name != service and decision.is_reachable:
                found.setdefault(name, _source_of(decision))
    return sorted(found.items())


def _downstreams(db: Db, service: str) -> list[tuple[str, str]]:
    found = dict.fromkeys(_registered_downstreams(db).get(service, ()), REGISTRATION)
    for name in typical_services(db):
        decision = verdict(db, name, service)
        if name != service and decision.is_reachable and is_transparent(db, name):
            found.setdefault(name, _source_of(decision))
    return sorted(found.items())


def _source_of(decision: Verdict) -> str:
    if not isinstance(decision.rule, Intention):
        return DEFAULT
    return SPECIFIC if _is_exact(decision.rule) else WILDCARDED


def _is_exact(row: Intention) -> bool:
    return WILDCARD not in (row.source_name, row.destination_name)


def _neighbour(db: Db, caller: str, called: str, shown: str, source: str) -> Neighbour:
    return Neighbour(summary_of(db, shown), source, _decision(db, caller, called))


@query
def summary_of(db: Db, service: str) -> ServiceSummary:
    """One service in figures, its sidecars' checks included."""
    listed = (*instances(db, service).rows, *connect_instances(db, service).rows)
    checked: list[CheckedInstance] = [with_checks(db, instance) for instance in listed]
    found = {summary.name: summary for summary in summarize(checked)}
    return found.get(service, ServiceSummary(service))


def _decision(db: Db, caller: str, called: str) -> Decision:
    decision = verdict(db, caller, called)
    rule = decision.rule if isinstance(decision.rule, Intention) else None
    return Decision(
        allowed=decision.is_reachable,
        has_permissions=decision.judges_requests,
        external_source=rule.meta.get(EXTERNAL_SOURCE, "") if rule else "",
        has_exact=rule is not None and _is_exact(rule),
        default_allow=default_policy(db).action == ALLOW,
    )
