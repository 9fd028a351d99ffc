"""A mesh in this process: the engine over some facts, a certificate authority, and an ADS server.

Facts are committed straight to a snapshot; what the proxies get goes the whole way from there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec

from pellucid.derive.engine import Engine
from pellucid.derive.identity import leaf_cell
from pellucid.identity.authority import Authority, SubjectNames, new_root
from pellucid.identity.leaves import Leaf, issue
from pellucid.model.config_entries import ServiceIntentions
from pellucid.model.config_entries.service_intentions import SourceIntention
from pellucid.model.identity import CaConfiguration, CaRoot, VirtualAddress
from pellucid.model.services import Node, Proxy, Service, ServiceAddress, ServiceKind
from pellucid.state.mesh_tables import (
    CA_CONFIGURATION,
    CA_ROOTS,
    CONFIG_ENTRIES,
    NODES,
    SERVICES,
    VIRTUAL_ADDRESSES,
)
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Change, Delete, Put
from pellucid.xds.configuration import refs, resource
from pellucid.xds.server import Admitted, AdsServer, StreamRefused
from pellucid.xds.topics import Topics

CLUSTER_ID = "11111111-2222-3333-4444-555555555555"
NODE = "here"
EPOCH = 1_790_000_000.0
"""When all certificates were made; they are good for years."""
_YEARS = 5 * 365 * 86_400


class Mesh:
    """Facts, and what is derived from them."""

    def __init__(self) -> None:
        self.engine = Engine(Snapshot())
        self.root: CaRoot = new_root(CLUSTER_ID, serial_number=1, now=EPOCH)
        self.authority = Authority(self.root)
        self._serial = 1
        self.commit(
            Put(NODES, Node(NODE, "127.0.0.1")),
            Put(CA_CONFIGURATION, CaConfiguration(CLUSTER_ID)),
            Put(CA_ROOTS, self.root),
        )

    def commit(self, *changes: Change) -> None:
        """Commit, as the log would."""
        after, batch = self.engine.snapshot.apply(changes)
        if batch.touched:
            self.engine.apply(after, batch)

    def tag(self, name: str, **tagged: ServiceAddress) -> None:
        """Give the sidecar of a service these tagged addresses and no others."""
        stored = self.engine.snapshot.get(SERVICES, (NODE, f"{name}-sidecar-proxy"))
        assert stored is not None
        self.commit(Put(SERVICES, msgspec.structs.replace(stored.value, tagged_addresses=tagged or None)))

    def register(
        self,
        name: str,
        *,
        proxy: Proxy | None = None,
        address: str = "127.0.0.1",
        port: int = 20000,
        number: int = 0,
    ) -> str:
        """Register a service with its sidecar and give it a certificate. Returns the sidecar's id."""
        proxy = proxy or Proxy(destination_service_name=name, local_service_port=8080)
        sidecar_id = f"{name}-sidecar-proxy"
        self.commit(
            Put(SERVICES, Service(NODE, name, name, port=proxy.local_service_port)),
            Put(
                SERVICES,
                Service(
                    NODE,
                    sidecar_id,
                    sidecar_id,
                    kind=ServiceKind.CONNECT_PROXY,
                    address=address,
                    port=port,
                    proxy=proxy,
                ),
            ),
        )
        if number:
            self.commit(Put(VIRTUAL_ADDRESSES, VirtualAddress(name, number)))
        self.rotate(name)
        return sidecar_id

    def deregister(self, name: str) -> None:
        """Take a service and its sidecar away."""
        self.commit(Delete(SERVICES, (NODE, name)), Delete(SERVICES, (NODE, f"{name}-sidecar-proxy")))

    def intend(self, destination: str, **actions: str) -> None:
        """Write a destination's intentions: source and action; `any` stands for `*`."""
        sources = tuple(
            SourceIntention(name="*" if name == "any" else name, action=action)
            for name, action in actions.items()
        )
        self.commit(Put(CONFIG_ENTRIES, ServiceIntentions(name=destination, sources=sources).normalized()))

    def rotate(self, name: str) -> Leaf:
        """Give a service a new certificate."""
        leaf = self.leaf(name)
        self.engine.set_cell(leaf_cell(name), leaf)
        return leaf

    def leaf(self, name: str) -> Leaf:
        """A certificate for anybody."""
        self._serial += 1
        names = SubjectNames(self.authority.service_uri(name))
        return issue(self.authority, names, service=name, serial_number=self._serial, now=EPOCH, ttl_s=_YEARS)

    def client_files(self, name: str, directory: Path) -> Sequence[Path]:
        """A certificate and its key as files."""
        leaf = self.leaf(name)
        paths = directory / f"{name}.crt", directory / f"{name}.key"
        for path, content in zip(paths, (leaf.cert_chain_pem, leaf.private_key_pem), strict=True):
            path.write_text(content)
        return paths


class EveryProxy:
    """Admits whoever asks."""

    async def admit(
        self, proxy_id: str, credential: str, peer: str, end: Callable[[StreamRefused], None]
    ) -> Admitted:
        return Admitted(NODE, proxy_id)


@contextlib.asynccontextmanager
async def serving(mesh: Mesh, address: str = "127.0.0.1:0") -> AsyncIterator[tuple[AdsServer, int]]:
    """The mesh's ADS server, and the port it listens on."""
    server = AdsServer(Topics(mesh.engine, refs, resource), EveryProxy())
    port = server.listen(address)
    await server.start()
    running = asyncio.create_task(mesh.engine.run())
    try:
        yield server, port
    finally:
        running.cancel()
        await server.stop(0)
