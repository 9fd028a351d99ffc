"""Whom a service reaches, and how: the upstream side of a proxy.

What most services share is keyed by its content, not by the proxy: the settings of an inferred upstream
depend on the caller only through the caller's `UpstreamConfig`, so a thousand callers without one share
a single memo for each upstream.
"""

from __future__ import annotations

from pellucid.derive.engine import Db, query
from pellucid.derive.entries import proxy_defaults, service_defaults
from pellucid.derive.instances import mesh_services
from pellucid.derive.intentions import reachable
from pellucid.model.config_entries import ServiceDefaults, UpstreamConfig
from pellucid.model.config_entries.shared import UpstreamConfiguration
from pellucid.rules.effective import central_upstream_config
from pellucid.rules.proxy_config import upstream_settings


@query
def reachable_services(db: Db, source: str) -> tuple[str, ...]:
    """The mesh services that intentions let a service reach, in order.

    Consul leaves the service itself out, so that its own instances cannot call each other by the
    service's address; here it counts like any other.
    """
    access = reachable(db, source)
    return tuple(name for name in mesh_services(db) if access.allows(name))


@query
def refused_services(db: Db, source: str) -> tuple[str, ...]:
    """The mesh services that intentions keep from a service, in order."""
    access = reachable(db, source)
    return tuple(name for name in mesh_services(db) if not access.allows(name))


@query
def caller_upstream_config(db: Db, source: str) -> UpstreamConfiguration | None:
    """What a caller's `service-defaults` says of its upstreams; None for most callers."""
    entry = service_defaults(db, source)
    return entry.upstream_config if entry else None


@query
def inferred_settings(
    db: Db, upstream: str, caller: UpstreamConfiguration | None, mesh_gateway: str
) -> UpstreamConfig:
    """The settings of an upstream that no registration names.

    caller: `caller_upstream_config` of the calling service. mesh_gateway: the mode that the calling
    proxy's registration gives.
    """
    config = central_upstream_config(
        upstream,
        proxy_defaults=proxy_defaults(db),
        service_defaults=ServiceDefaults(upstream_config=caller),
        upstream_defaults=service_defaults(db, upstream),
        proxy_mesh_gateway=mesh_gateway,
    )
    return upstream_settings(config)
