"""Config entries as derived values: each read depends on just the entry it names."""

from __future__ import annotations

from pellucid.derive.engine import Db, query
from pellucid.model.config_entries import (
    ConfigEntry,
    Mesh,
    ProxyDefaults,
    ServiceDefaults,
    ServiceIntentions,
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
def mesh_destinations_only(db: Db) -> bool:
    """Whether transparent proxies refuse what is outside the mesh."""
    entry = config_entry(db, "mesh", "mesh")
    return isinstance(entry, Mesh) and entry.transparent_proxy.mesh_destinations_only
