"""The authority of the server's own listeners outlives restarts and the mesh's roots."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from pellucid.agent.server_certificate import OwnCertificate
from pellucid.state.log import Log
from pellucid.state.mesh_tables import MESH_TABLES
from pellucid.state.sqlite import SqliteEngine


async def test_the_authority_is_made_once(tmp_path: Path) -> None:
    authorities = []
    for _ in range(2):
        log = Log(SqliteEngine(tmp_path, MESH_TABLES))
        authorities.append((await OwnCertificate.open(log, "dc1", "server-0", ["mesh.svc"])).authority_pem)
        await log.close()
    assert authorities[0] == authorities[1]


async def test_clients_that_trust_it_know_the_server_by_every_name() -> None:
    own = await OwnCertificate.open(Log(), "dc1", "server-0", ["mesh.default.svc", "10.1.2.3"])
    for name in ("mesh.default.svc", "10.1.2.3", "localhost", "127.0.0.1"):
        await _shake_hands(own, name)


async def test_a_renewed_certificate_is_shown_to_new_connections() -> None:
    own = await OwnCertificate.open(Log(), "dc1", "server-0", [])
    before = await _shake_hands(own, "localhost")
    own.renew()
    assert await _shake_hands(own, "localhost") != before


async def _shake_hands(own: OwnCertificate, name: str) -> bytes:
    """The certificate shown to a client that trusts only the server's authority."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=own.context)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cadata=own.authority_pem)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    server.close()
    assert isinstance(shown, bytes)
    return shown
