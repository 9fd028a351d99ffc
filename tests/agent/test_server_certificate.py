"""The authority of the server's own listeners outlives restarts and the mesh's roots."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from pellucid.agent.server_certificate import RENEWED_AFTER, OwnCertificate
from pellucid.identity.authority import Authority, new_root
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


async def test_a_certificate_is_renewed_when_its_time_has_come() -> None:
    now = time.time() - RENEWED_AFTER.total_seconds()
    root = new_root("id", serial_number=1, now=now)
    own = OwnCertificate(Authority(root, "dc1"), "server-0", [], clock=lambda: now)
    before = await _shake_hands(own, "localhost")
    own.renew_if_due()
    assert await _shake_hands(own, "localhost") == before
    now += RENEWED_AFTER.total_seconds()
    own.renew_if_due()
    assert await _shake_hands(own, "localhost") != before


async def test_a_client_whose_clock_is_an_hour_behind_takes_a_new_certificate() -> None:
    own = await OwnCertificate.open(Log(), "dc1", "server-0", [])
    shown = x509.load_der_x509_certificate(await _shake_hands(own, "localhost"))
    authority = x509.load_pem_x509_certificate(own.authority_pem.encode())
    behind = datetime.now(UTC) - timedelta(minutes=59)
    assert max(shown.not_valid_before_utc, authority.not_valid_before_utc) < behind


async def test_the_authority_is_good_for_ten_years() -> None:
    own = await OwnCertificate.open(Log(), "dc1", "server-0", [])
    certificate = x509.load_pem_x509_certificate(own.authority_pem.encode())
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days >= 3650


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
