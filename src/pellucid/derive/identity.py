"""Who vouches for whom: the trust domain, the roots, and the leaf of each service.

Leaves come from the edge as cells, since making one takes a clock and randomness; everything else is in
the log.
"""

from __future__ import annotations

from collections.abc import Hashable

from pellucid.derive.engine import Db, query
from pellucid.identity import documents
from pellucid.identity.leaves import Leaf
from pellucid.model.identity import CaConfiguration, CaRoot
from pellucid.model.names import trust_domain_of
from pellucid.state.mesh_tables import CA_CONFIGURATION, CA_ROOTS

LOCAL_DATACENTER = "datacenter"
"""The cell that holds the name of this datacenter."""


def leaf_cell(service: str) -> Hashable:
    """The cell that holds the current leaf of a service."""
    return ("leaf", service)


@query
def datacenter(db: Db) -> str:
    """The name of this datacenter."""
    name: str = db.cell(LOCAL_DATACENTER, "dc1")
    return name


@query
def ca_configuration(db: Db) -> CaConfiguration | None:
    """The CA's settings; None only before the agent has made the mesh's identity."""
    stored = db.get(CA_CONFIGURATION, ("ca",))
    return stored.value if stored else None


@query
def trust_domain(db: Db) -> str:
    """The trust domain of the mesh; empty before there is one."""
    configuration = ca_configuration(db)
    return trust_domain_of(configuration.cluster_id) if configuration else ""


@query
def roots(db: Db) -> tuple[CaRoot, ...]:
    """Every root that is trusted now, in order of id."""
    return tuple(stored.value for stored in db.all(CA_ROOTS))


@query
def trust_bundle(db: Db) -> str:
    """The PEM of every trusted root, concatenated."""
    return documents.trust_bundle(roots(db))


@query
def leaf(db: Db, service: str) -> Leaf | None:
    """The certificate and key in use for a service; None until somebody needed one."""
    found: Leaf | None = db.cell(leaf_cell(service))
    return found
