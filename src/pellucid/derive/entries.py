"""Config entries as derived values: each read depends on just the entry it names."""

from __future__ import annotations

from pellucid.derive.engine import Db, query
from pellucid.model.config_entries import (
    ConfigEntry,
    Mesh,
    ProxyDefaults,
    ServiceDefaults,
    ServiceIntentions,
    ServiceResolver,
    ServiceRouter,
    ServiceSplitter,
)
from pellucid.state.mesh_tables import CONFIG_ENTRIES


@query
def config_entry(db: Db, kind: str, name: str) -> ConfigEntry | None:
    """The entry of this kind and name, if written."""
    stored = db.get(CONFIG_ENTRIES, (kind, name))
    return stored.value if stored else None


@query
def config_entries(db: Db, kind: str) -> tuple[ConfigEntry, ...]:
    """Every entry of a kind, in order of name."""
    return tuple(stored.value for stored in db.rows(CONFIG_ENTRIES, "kind", kind))


@query
def proxy_defaults(db: Db) -> ProxyDefaults | None:
    """The mesh-wide defaults of proxies."""
    entry = config_entry(db, "proxy-defaults", "global")
    return entry if isinstance(entry, ProxyDefaults) else None


@query
def service_defaults(db: Db, service: str) -> ServiceDefaults | None:
    """The defaults of one service."""
    entry = config_entry(db, "service-defaults", service)
    return entry if isinstance(entry, ServiceDefaults) else None


@query
def service_intentions(db: Db, destination: str) -> ServiceIntentions | None:
    """The intentions written for one destination, which may be `*`."""
    entry = config_entry(db, "service-intentions", destination)
    return entry if isinstance(entry, ServiceIntentions) else None


@query
def service_router(db: Db, service: str) -> ServiceRouter | None:
    """The routes of one service."""
    entry = config_entry(db, "service-router", service)
    return entry if isinstance(entry, ServiceRouter) else None


@query
def service_splitter(db: Db, service: str) -> ServiceSplitter | None:
    """The splits of one service."""
    entry = config_entry(db, "service-splitter", service)
    return entry if isinstance(entry, ServiceSplitter) else None


@query
def service_resolver(db: Db, service: str) -> ServiceResolver | None:
    """The resolver of one service."""
    entry = config_entry(db, "service-resolver", service)
    return entry if isinstance(entry, ServiceResolver) else None


@query
def mesh_destinations_only(db: Db) -> bool:
    """Whether transparent proxies refuse what is outside the mesh."""
    entry = config_entry(db, "mesh", "mesh")
    return isinstance(entry, Mesh) and entry.transparent_proxy.mesh_destinations_only
