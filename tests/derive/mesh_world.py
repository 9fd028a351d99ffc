"""The mesh's tables behind an engine, and short ways to say what is registered and intended."""

from __future__ import annotations

from pellucid.model.checks import CheckStatus, HealthCheck
from pellucid.model.config_entries import ServiceIntentions, normalize
from pellucid.model.config_entries.service_intentions import SourceIntention
from pellucid.model.services import Node, Proxy, Service, ServiceKind
from pellucid.state.mesh_tables import CHECKS, CONFIG_ENTRIES, NODES, SERVICES
from pellucid.state.tables import Change, Delete, Put
from tests.derive.facts import World

NODE = "n1"


class MeshWorld(World):
    """Starts with one node."""

    def __init__(self) -> None:
        super().__init__()
        self.commit(Put(NODES, Node(NODE, "10.0.0.1")))

    def evaluated_by(self, *changes: Change) -> int:
        """How many queries a commit makes run again, once everything has settled."""
        before = self.engine.counts.evaluated
        self.commit(*changes)
        self.engine.settle()
        return self.engine.counts.evaluated - before


def app(name: str, service_id: str = "", **fields: object) -> Change:
    """An application is registered."""
    return Put(SERVICES, Service(NODE, service_id or name, name, **fields))  # type: ignore[arg-type]


def sidecar(name: str, service_id: str = "", proxy: Proxy | None = None, **fields: object) -> Change:
    """A sidecar of a service is registered."""
    given: dict[str, object] = {"port": 20000, "address": "10.0.0.9"} | fields
    settings = proxy or Proxy(destination_service_name=name)
    place = service_id or f"{name}-sidecar-proxy"
    kind = ServiceKind.CONNECT_PROXY
    return Put(SERVICES, Service(NODE, place, f"{name}-sidecar-proxy", kind, proxy=settings, **given))  # type: ignore[arg-type]


def gone(service_id: str) -> Change:
    """An instance is deregistered."""
    return Delete(SERVICES, (NODE, service_id))


def check(status: CheckStatus, service_id: str = "", check_id: str = "c") -> Change:
    """A check of an instance, or of the node, says how it stands."""
    return Put(CHECKS, HealthCheck(NODE, check_id, status=status, service_id=service_id))


def intends(destination: str, **actions: str) -> Change:
    """Intentions of one destination: `web="allow"`; `any_="deny"` speaks of every source."""
    sources = tuple(
        SourceIntention(name="*" if name == "any_" else name, action=action)
        for name, action in actions.items()
    )
    return Put(CONFIG_ENTRIES, normalize(ServiceIntentions(name=destination, sources=sources)))
