"""Which registration a proxy id names, and which service it stands for."""

from __future__ import annotations

import msgspec

from pellucid.derive.engine import Db, query
from pellucid.model.identity import WorkloadCredential
from pellucid.model.services import Service
from pellucid.state.mesh_tables import CREDENTIALS, SERVICES


class ProxyPlace(msgspec.Struct, frozen=True):
    """Where a proxy is registered."""

    node: str
    service_id: str


@query
def proxy_place(db: Db, proxy_id: str) -> ProxyPlace | None:
    """The registration of a proxy or gateway, by its service id alone, as Envoy names itself.

    Ids are unique on a node only; should two nodes have the same, the first in order of node is meant.
    """
    for stored in db.rows(SERVICES, "id", proxy_id):
        if not stored.value.is_typical:
            return ProxyPlace(stored.value.node, proxy_id)
    return None


@query
def registration(db: Db, node: str, service_id: str) -> Service | None:
    """A registered instance."""
    stored = db.get(SERVICES, (node, service_id))
    return stored.value if stored else None


@query
def credential_of(db: Db, node: str, service_id: str) -> WorkloadCredential | None:
    """What proves that a workload is this instance."""
    stored = db.get(CREDENTIALS, (node, service_id))
    return stored.value if stored else None
