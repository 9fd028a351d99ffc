"""HTTPS: the same API over TLS."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import httpx
import pytest

from pellucid.identity import rotation
from pellucid.identity.authority import Authority, random_serial_number
from pellucid.identity.leaves import issue_server
from pellucid.model.identity import CaConfiguration
from tests.api.serving import ServedAgent


def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's side and the client's side of one authority."""
    configuration = CaConfiguration("11111111-2222-3333-4444-555555555555", config=rotation.DEFAULT_CONFIG)
    root = rotation.start(configuration, next_serial_number=random_serial_number, now=time.time()).roots[0]
    leaf = issue_server(Authority(root), "n1", ["127.0.0.1"], now=time.time(), ttl_s=3600)
    chain = tmp_path / "chain.pem"
    chain.write_text(leaf.private_key_pem + leaf.cert_chain_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return server, ssl.create_default_context(cadata=root.root_cert)


async def test_https_answers_like_http(agent: ServedAgent, tmp_path: Path) -> None:
    server, client = contexts(tmp_path)
    port = await agent.server.listen("127.0.0.1", 0, server)
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=client) as https:
        assert (await https.get("/v1/status/leader")).json() == "127.0.0.1:8300"
        assert (await https.put("/v1/config", json={"Kind": "mesh"})).json() is True


async def test_plain_http_on_the_tls_port_gets_nowhere(agent: ServedAgent, tmp_path: Path) -> None:
    server, _ = contexts(tmp_path)
    port = await agent.server.listen("127.0.0.1", 0, server)
    with pytest.raises(httpx.TransportError):
        await agent.client.get(f"http://127.0.0.1:{port}/v1/status/leader")
