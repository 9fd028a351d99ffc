"""An agent reduced to what the HTTP API needs: log, engine, authority, leaves, aliases, server."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
import uuid
from random import Random
from typing import Self

import httpx
import msgspec

from pellucid.agent.own_node import OwnNode, own_node_changes
from pellucid.api.app import App
from pellucid.api.connection import Limits
from pellucid.api.context import AgentIdentity, ApiContext, HttpSettings
from pellucid.api.registrations import forgotten
from pellucid.api.server import HttpServer
from pellucid.derive.engine import Engine
from pellucid.derive.identity import leaf_cell
from pellucid.health.alias import alias_result
from pellucid.identity import rotation
from pellucid.identity.authority import Authority, random_serial_number
from pellucid.identity.leaves import Leaf, LeafKeeper
from pellucid.model.checks import CheckStatus, HealthCheck
from pellucid.model.identity import CaConfiguration
from pellucid.state.log import Log
from pellucid.state.mesh_tables import CA_CONFIGURATION, CA_ROOTS, CHECK_DEFINITIONS, CHECKS, SERVICES
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch, Put

NODE = "n1"
NODE_ID = "ee6d986f-36bf-a739-b1df-012347c72d28"


class ServedAgent:
    """Speak HTTP to `client` while it runs: `async with ServedAgent() as agent:`, or start it and stop it."""

    def __init__(
        self,
        settings: HttpSettings | None = None,
        limits: Limits | None = None,
        *,
        recorded_ports: bool = False,
    ) -> None:
        identity = AgentIdentity(NODE, NODE_ID)
        if recorded_ports:
            identity = dataclasses.replace(
                identity, server_port=41830, serf_lan_port=41831, serf_wan_port=41832, version="1.10.0dev"
            )
        self.log = Log()
        self.engine = Engine(self.log.snapshot())
        self.log.listen(self.engine.apply)
        self.context = ApiContext(
            log=self.log,
            engine=self.engine,
            agent=identity,
            leaf_of=self._leaf,
            now=time.time,
            new_id=lambda: str(uuid.uuid4()),
            settings=settings or HttpSettings(ui_path="/ui/"),
            reload=self._forget_registrations,
        )
        self.app = App(self.context, Random(1))
        self.server = HttpServer(self.app, limits)
        self.port = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._keeper: LeafKeeper | None = None
        self._aliases = asyncio.Event()
        self.log.listen(self._note_change)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make the mesh's identity and the agent's node, then listen."""
        self._tasks = [asyncio.create_task(self.engine.run()), asyncio.create_task(self._run_aliases())]
        configuration = CaConfiguration(cluster_id=str(uuid.uuid4()), config=rotation.DEFAULT_CONFIG)
        succession = rotation.start(configuration, next_serial_number=random_serial_number, now=time.time())
        await self.log.commit(
            [
                Put(CA_CONFIGURATION, configuration),
                *(Put(CA_ROOTS, root) for root in succession.roots),
                *own_node_changes(
                    OwnNode(NODE, NODE_ID, "127.0.0.1", server_port=self.context.agent.server_port)
                ),
            ]
        )
        self._keeper = LeafKeeper(Authority(succession.roots[0]), ttl_s=72 * 3600)
        self.port = await self.server.listen("127.0.0.1", 0)
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    async def stop(self) -> None:
        """End every connection and task."""
        await self.client.aclose()
        self.app.stop()
        await self.server.stop()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.log.close()

    def _leaf(self, service: str) -> Leaf:
        assert self._keeper is not None
        leaf = self._keeper.leaf(service, time.time())
        self.engine.set_cell(leaf_cell(service), leaf)
        return leaf

    async def _forget_registrations(self) -> None:
        await self.log.commit(forgotten(self.log.head, NODE))

    # Alias checks follow the checks they stand for, as the agent's runner makes them do.

    def _note_change(self, _snapshot: Snapshot, batch: Batch) -> None:
        if any(touched.table in (CHECKS, SERVICES, CHECK_DEFINITIONS) for touched in batch.touched):
            self._aliases.set()

    async def _run_aliases(self) -> None:
        while True:
            await self._aliases.wait()
            self._aliases.clear()
            await self.settle_aliases()

    async def settle_aliases(self) -> None:
        """Bring every alias check up to date."""
        state = self.log.head
        changes = []
        for stored in state.rows(CHECK_DEFINITIONS, "node", NODE):
            definition = stored.value
            check = state.get(CHECKS, (NODE, definition.check_id))
            if definition.type != "alias" or check is None:
                continue
            result = alias_result(
                definition,
                _service_checks(state, definition.alias_service),
                service_exists=state.get(SERVICES, (NODE, definition.alias_service)) is not None,
            )
            if (check.value.status, check.value.output) != (result.status, result.output):
                changes.append(Put(CHECKS, _with(check.value, result.status, result.output)))
        if changes:
            await self.log.commit(changes)


def _service_checks(state: Snapshot, service_id: str) -> list[HealthCheck]:
    return [stored.value for stored in state.rows(CHECKS, "instance", (NODE, service_id))]


def _with(check: HealthCheck, status: CheckStatus, output: str) -> HealthCheck:
    return msgspec.structs.replace(check, status=status, output=output)
