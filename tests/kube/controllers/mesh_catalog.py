"""The catalog of a real server in this process, to look at and to wait on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pellucid.model.checks import CheckStatus, worst_of
from pellucid.model.services import Service
from pellucid.state.mesh_tables import CHECKS, NODES, SERVICES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch
from tests.api.serving import ServedAgent

PATIENCE_S = 20.0


class MeshCatalog:
    """What is registered on the stand-ins of Kubernetes nodes."""

    def __init__(self, agent: ServedAgent) -> None:
        self._agent = agent
        self._changed = asyncio.Event()
        self.writes: list[str] = []
        """The ids of instances that were written with something new in them, one after the other."""
        agent.log.listen(self._note)

    def _note(self, _snapshot: Snapshot, batch: Batch) -> None:
        self.writes += [touched.key[1] for touched in batch.touched if touched.table is SERVICES]
        self._changed.set()

    async def register(self, node: str, name: str, meta: dict[str, str], service_id: str = "") -> None:
        """A registration by somebody else."""
        service = {"ID": service_id or name, "Service": name, "Meta": meta}
        body = {
            "Node": node,
            "Address": "192.0.2.9",
            "NodeMeta": {"synthetic-node": "true"},
            "Service": service,
        }
        answer = await self._agent.client.put("/v1/catalog/register", json=body)
        assert answer.status_code == 200, answer.text

    async def forget(self, node: str) -> None:
        """Remove a node with everything on it, behind the controller's back."""
        answer = await self._agent.client.put("/v1/catalog/deregister", json={"Node": node})
        assert answer.status_code == 200, answer.text

    def nodes(self) -> set[str]:
        """The stand-ins."""
        rows = self._agent.log.head.all(NODES)
        return {row.value.name for row in rows if row.value.name.endswith("-virtual")}

    @property
    def port(self) -> int:
        return self._agent.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def services(self) -> dict[str, Service]:
        """The instances by their ids."""
        rows = self._agent.log.head.all(SERVICES)
        return {row.value.id: row.value for row in rows if row.value.node.endswith("-virtual")}

    def statuses(self) -> dict[str, CheckStatus]:
        """How each instance is, by its id; one without a check would be missing."""
        found: dict[str, list[CheckStatus]] = {}
        for row in self._agent.log.head.all(CHECKS):
            if row.value.type == "kubernetes-readiness":
                found.setdefault(row.value.service_id, []).append(row.value.status)
        return {service_id: worst_of(statuses) for service_id, statuses in found.items()}

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Return once something is so; it is asked anew at each change."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never came true: {what}; there is {self.statuses()}") from None

    async def until_statuses(self, **expected: str) -> None:
        """Return once exactly these pods' services are there: `web_1_web="passing"`, with their sidecars."""
        wanted: dict[str, str] = {}
        for name, status in expected.items():
            service_id = name.replace("_", "-")
            wanted |= {service_id: status, f"{service_id}-sidecar-proxy": status}
        await self.until(lambda: self.statuses() == wanted == self._registered(wanted), f"{wanted}")

    def _registered(self, wanted: dict[str, str]) -> dict[str, str]:
        """The wanted ones again, if and only if they are the services there are."""
        return wanted if self.services().keys() == wanted.keys() else {}
