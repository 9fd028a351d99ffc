"""The HTTP client of the components in the cluster, against servers of the test."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pellucid.kube.server_client import (
    MAX_ANSWER_BYTES,
    PAUSES_S,
    ServerAddress,
    ServerClient,
    ServerRefused,
    ServerUnavailable,
)
from tests.self_signed import SelfSigned, self_signed

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"


class Server:
    """Gives the answers it was told, one to each connection; None closes without a word."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self._answers = answers
        self.heads: list[str] = []
        self.url = ""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        answer = self._answers.pop(0)
        if answer is not None:
            writer.write(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        writer.close()


@asynccontextmanager
async def serving(*answers: bytes | None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(list(answers))
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    async with listener:
        yield server


class Sleeper:
    """Notes the pauses instead of making them."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


@asynccontextmanager
async def client_of(
    url: str, *, ca_file: Path | None = None, token_file: Path | None = None
) -> AsyncIterator[tuple[ServerClient, Sleeper]]:
    sleeper = Sleeper()
    client = ServerClient(ServerAddress(url, ca_file, token_file), sleep=sleeper)
    try:
        yield client, sleeper
    finally:
        await client.aclose()


def tls_of(identity: SelfSigned, directory: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = directory / "server.crt", directory / "server.key"
    certificate.write_bytes(identity.certificate)
    key.write_bytes(identity.key)
    context.load_cert_chain(certificate, key)
    return context


class TestAttempts:
    async def test_a_server_that_is_being_replaced_is_asked_again(self) -> None:
        unavailable = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
        async with serving(None, unavailable, OK) as server, client_of(server.url) as (client, sleeper):
            assert await client.put("/v1/catalog/register", {"Node": "n1"}) is True
        assert sleeper.pauses == list(PAUSES_S)

    async def test_then_it_is_unavailable_with_the_reason(self) -> None:
        async with client_of("http://127.0.0.1:1") as (client, _):
            with pytest.raises(ServerUnavailable, match=r"^127.0.0.1: connection refused$"):
                await client.get("/v1/status/leader")

    async def test_a_refusal_is_the_servers_own_text_and_final(self) -> None:
        refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 17\r\n\r\nPermission denied"
        async with serving(refusal) as server, client_of(server.url) as (client, sleeper):
            with pytest.raises(ServerRefused, match=r"^Permission denied$") as caught:
                await client.get("/v1/config")
        assert caught.value.status == 403
        assert sleeper.pauses == []

    async def test_what_is_not_found_may_be_none(self) -> None:
        missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        async with serving(missing) as server, client_of(server.url) as (client, _):
            assert await client.get_if_found("/v1/config/mesh/mesh") is None

    async def test_an_answer_without_end_is_cut_off(self) -> None:
        endless = f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_ANSWER_BYTES + 1}\r\n\r\n".encode()
        answers = [endless + bytes(MAX_ANSWER_BYTES + 1)] * 3
        async with serving(*answers) as server, client_of(server.url) as (client, _):
            with pytest.raises(ServerUnavailable, match="larger than"):
                await client.get("/v1/catalog/nodes")

    async def test_something_else_that_answers_is_no_server(self) -> None:
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"
        async with serving(page, page, page) as server, client_of(server.url) as (client, _):
            with pytest.raises(ServerUnavailable, match="GET /v1/catalog/nodes is not JSON"):
                await client.get("/v1/catalog/nodes")


class TestTrust:
    async def test_the_token_is_read_for_each_request(self, tmp_path: Path) -> None:
        token = tmp_path / "token"
        async with serving(OK, OK) as server, client_of(server.url, token_file=token) as (client, _):
            for text in ("first\n", "second\n"):
                token.write_text(text)
                await client.get("/v1/status/leader")
        shown = [line for head in server.heads for line in head.splitlines() if "token" in line.lower()]
        assert shown == ["X-Consul-Token: first", "X-Consul-Token: second"]

    async def test_a_token_that_is_not_there_yet_is_said(self, tmp_path: Path) -> None:
        missing = tmp_path / "token"
        async with client_of("http://127.0.0.1:1", token_file=missing) as (client, _):
            with pytest.raises(ServerUnavailable, match=f"{missing}: no such file or directory"):
                await client.get("/v1/status/leader")

    async def test_the_authority_in_the_file_is_trusted_and_no_other(self, tmp_path: Path) -> None:
        identity, other = self_signed("127.0.0.1"), self_signed("127.0.0.1")
        authority = tmp_path / "ca.pem"
        authority.write_bytes(other.certificate)
        async with (
            serving(*[OK] * 9, tls=tls_of(identity, tmp_path)) as server,
            client_of(server.url, ca_file=authority) as (client, _),
        ):
            with pytest.raises(ServerUnavailable, match="of an authority that is not trusted here"):
                await client.get("/v1/status/leader")
            authority.write_bytes(identity.certificate)
            assert await client.get("/v1/status/leader") is True

    async def test_a_file_that_holds_no_certificate_is_said(self, tmp_path: Path) -> None:
        authority = tmp_path / "ca.pem"
        authority.write_text("nothing")
        async with client_of("https://127.0.0.1:1", ca_file=authority) as (client, _):
            with pytest.raises(ServerUnavailable, match=r"127\.0\.0\.1: TLS failed: "):
                await client.get("/v1/status/leader")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://consul-consul-server.consul.svc:8501", "consul-consul-server"),
        ("http://192.0.2.1:8500", "192.0.2.1"),
        ("https://[fd00::1]:8501", "fd00::1"),
    ],
)
def test_a_server_is_called_by_its_kubernetes_service(url: str, name: str) -> None:
    assert ServerAddress(url).name == name
