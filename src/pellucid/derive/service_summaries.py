"""Services in a few figures each, as the web page lists them.

A sidecar's checks count for the service it stands for as well as for itself, and a service is
transparent when all of its sidecars are.

Source: Consul 1.10 agent/ui_endpoint.go (summarizeServices).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from pellucid.derive.catalog import CheckedInstance
from pellucid.model.checks import CheckStatus, HealthCheck
from pellucid.model.services import ServiceKind
from pellucid.rules.effective import TRANSPARENT

EXTERNAL_SOURCE = "external-source"
"""The metadata key that says which platform registered a service."""


class ServiceSummary(msgspec.Struct, frozen=True):
    """A service in figures."""

    name: str
    kind: str = ""
    datacenter: str = ""
    tags: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    external_sources: tuple[str, ...] = ()
    instance_count: int = 0
    passing: int = 0
    warning: int = 0
    critical: int = 0
    transparent: bool = False
    has_proxy: bool = False


@dataclass
class _Tally:
    kind: str = ""
    datacenter: str = ""
    tags: set[str] = field(default_factory=set)
    nodes: list[str] = field(default_factory=list)
    external_sources: dict[str, None] = field(default_factory=dict)
    checks: dict[tuple[str, str], HealthCheck] = field(default_factory=dict)
    proxy_modes: list[str] = field(default_factory=list)

    def add_checks(self, checked: CheckedInstance) -> None:
        for stored in checked.checks:
            self.checks[stored.value.node, stored.value.check_id] = stored.value

    def count(self, status: CheckStatus) -> int:
        return sum(check.status is status for check in self.checks.values())

    def summary(self, name: str) -> ServiceSummary:
        return ServiceSummary(
            name=name,
            kind=self.kind,
            datacenter=self.datacenter,
            tags=tuple(sorted(self.tags)),
            nodes=tuple(self.nodes),
            external_sources=tuple(self.external_sources),
            instance_count=len(self.nodes),
            passing=self.count(CheckStatus.PASSING),
            warning=self.count(CheckStatus.WARNING),
            critical=self.count(CheckStatus.CRITICAL),
            transparent=bool(self.proxy_modes) and all(mode == TRANSPARENT for mode in self.proxy_modes),
            has_proxy=bool(self.proxy_modes),
        )


def summarize(instances: Iterable[CheckedInstance]) -> tuple[ServiceSummary, ...]:
    """One summary for each service that is among the instances or stood for by one, in order of name."""
    tallies: dict[str, _Tally] = {}
    for checked in instances:
        instance = checked.instance
        service = instance.service.value
        tally = tallies.setdefault(service.name, _Tally())
        tally.kind = service.kind.value
        tally.datacenter = instance.node.value.datacenter
        tally.nodes.append(service.node)
        tally.tags.update(service.tags)
        if source := (service.meta or {}).get(EXTERNAL_SOURCE):
            tally.external_sources[source] = None
        tally.add_checks(checked)
        if service.kind is ServiceKind.CONNECT_PROXY:
            destination = tallies.setdefault(instance.proxy.destination_service_name, _Tally())
            destination.proxy_modes.append(instance.proxy.mode)
            destination.add_checks(checked)
    return tuple(tallies[name].summary(name) for name in sorted(tallies))
