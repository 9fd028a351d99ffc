"""A proxy's registration as the API shows it: completed from config entries.

Consul's agent re-registers a proxy whenever a config entry changes what it comes to, so its catalog
holds merged settings and their index. Ours keeps the registration as it was given and merges on
reading; the index shown is the later of the registration's and the entries'.

Source: Consul 1.10 agent/service_manager.go.
"""

from __future__ import annotations

import msgspec

from pellucid.derive.effective import effective_proxy
from pellucid.derive.engine import Db, query
from pellucid.model.services import Proxy, Service
from pellucid.state.mesh_tables import CONFIG_ENTRIES, SERVICES
from pellucid.state.tables import RowSelector, Stored

MODES = frozenset(("", "direct", "transparent"))


class ShownService(msgspec.Struct, frozen=True):
    """A stored service with its proxy settings completed, and the index of the whole."""

    service: Stored[Service]
    proxy: Proxy


@query
def shown_service(db: Db, node: str, service_id: str) -> ShownService:
    """The service as shown. Raises KeyError if it is not registered."""
    stored = db.get(SERVICES, (node, service_id))
    if stored is None:
        raise KeyError(service_id)
    service = stored.value
    # A mode that does not exist is kept and shown, and nothing is merged into such a proxy.
    if service.is_typical or service.proxy.mode not in MODES:
        return ShownService(stored, service.proxy)
    settled = effective_proxy(db, node, service_id)
    if settled is None or settled.proxy == service.proxy:
        return ShownService(stored, service.proxy)
    modified = max(stored.modify_index, _entries_index(db, service))
    return ShownService(msgspec.structs.replace(stored, modify_index=modified), settled.proxy)


def _entries_index(db: Db, service: Service) -> int:
    named = {service.proxy.destination_service_name or service.name}
    named.update(upstream.destination_name for upstream in service.proxy.upstreams)
    keys = [("proxy-defaults", "global"), *(("service-defaults", name) for name in sorted(named))]
    return max(db.stamp(RowSelector(CONFIG_ENTRIES, key)) for key in keys)
