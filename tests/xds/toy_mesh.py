"""A toy mesh on the real log and engine: facts are services, and proxies are facts too.

Every proxy is to have one cluster and one set of endpoints for each fact of the group `services`; the
fact's number is the version. A fact with a negative number cannot be built.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import grpc

from pellucid.derive.engine import Db, Engine, query
from pellucid.state.log import Log
from pellucid.state.tables import Change
from pellucid.xds.server import Admitted, AdsServer, StreamRefused
from pellucid.xds.shared import Refs, SharedResource
from pellucid.xds.topics import Topics
from pellucid.xds.types import ResourceType
from tests.derive.facts import FACTS, drop, number, put


@query
def toy_refs(db: Db, node: str, service_id: str, type_url: str) -> Refs:
    if type_url not in (ResourceType.CLUSTER, ResourceType.ENDPOINT):
        return Refs({})
    services = db.rows(FACTS, "group", "services")
    return Refs({stored.value.name: (type_url, stored.value.name) for stored in services})


@query
def toy_resource(db: Db, ref: tuple[str, str]) -> SharedResource:
    _, name = ref
    version = number(db, name)
    if version < 0:
        raise ValueError(f"{name} is broken")
    return SharedResource(name, str(version), name.encode() * 20)


class Registered:
    """Admits proxies that are facts of the group `proxies`, and waits for those that are not yet."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def admit(
        self, proxy_id: str, credential: str, peer: str, end: Callable[[StreamRefused], None]
    ) -> Admitted:
        if credential == "stolen":
            raise StreamRefused(grpc.StatusCode.PERMISSION_DENIED, "permission denied: not yours")
        if credential == "surprising":
            raise RuntimeError("a secret of the server's")
        registered = asyncio.Event()
        subscription = self._engine.subscribe(is_registered, registered.set, proxy_id)
        try:
            if not subscription.value:
                await registered.wait()
        finally:
            subscription.close()
        return Admitted("node", proxy_id)


@query
def is_registered(db: Db, proxy_id: str) -> bool:
    return db.get(FACTS, (proxy_id,)) is not None


class ToyMesh:
    """The log, the engine that follows it, the topics on that, and the server."""

    def __init__(self) -> None:
        self.log = Log()
        self.engine = Engine(self.log.snapshot())
        self.log.listen(self.engine.apply)
        self.topics = Topics(self.engine, toy_refs, toy_resource)
        self.server = AdsServer(self.topics, Registered(self.engine))

    async def commit(self, *changes: Change) -> None:
        await self.log.commit(changes)

    async def services(self, **versions: int) -> None:
        await self.commit(*(put(name, version, "services") for name, version in versions.items()))

    async def remove(self, name: str) -> None:
        await self.commit(drop(name))

    async def proxies(self, *ids: str) -> None:
        await self.commit(*(put(proxy_id, 0, "proxies") for proxy_id in ids))


@contextlib.asynccontextmanager
async def toy_mesh() -> AsyncIterator[ToyMesh]:
    """A mesh with services `web` and `api` and a proxy `p`; its server is started, but has no listener."""
    mesh = ToyMesh()
    await mesh.services(web=1, api=1)
    await mesh.proxies("p")
    settling = asyncio.create_task(mesh.engine.run())
    try:
        yield mesh
    finally:
        await mesh.server.stop(0)
        settling.cancel()
        await mesh.log.close()


async def eventually(holds: Callable[[], object]) -> None:
    """Let everything run until something holds; the test's time limit is the only one."""
    while not holds():  # noqa: ASYNC110 - what a server let go of is announced to nobody
        await asyncio.sleep(0.001)
