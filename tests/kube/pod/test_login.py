"""Logging in over real TLS: what is sent, what is understood, why it is not there yet."""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pellucid.kube.pod.login import NotLoggedIn, is_refused, logged_in, login
from pellucid.kube.pod.settings import Server
from tests.self_signed import self_signed

ANSWER = {
    "Node": "worker-virtual",
    "Services": [
        {"ID": "hello-1-hello", "Name": "hello", "Kind": "", "Credential": "secret"},
        {
            "ID": "hello-1-hello-sidecar-proxy",
            "Name": "hello-sidecar-proxy",
            "Kind": "connect-proxy",
            "Credential": "secret",
        },
    ],
}


@dataclass
class LoginServer:
    """Answers logins with what it is told to, in order; the last one again and again."""

    directory: Path
    answers: list[tuple[int, str]] = field(default_factory=lambda: [(200, json.dumps(ANSWER))])
    bodies: list[Any] = field(default_factory=list)
    credential_status: int = 200
    """What it answers when asked whether a credential counts."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Where, and with which token."""
    clock_ahead: timedelta = timedelta()
    """How far this server's clock is from that of the pod."""

    def __enter__(self) -> LoginServer:
        pair = self_signed("localhost", now=datetime.now(UTC) + self.clock_ahead)
        self.authority = pair.certificate.decode()
        (self.directory / "pair.pem").write_bytes(pair.key + pair.certificate)
        (self.directory / "token").write_text("the pod's token\n")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "pair.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def address(self, host: str = "localhost", authority: str = "") -> Server:
        port = int(self._server.server_address[1])
        return Server(host, port, host, port, authority or self.authority)

    @property
    def token(self) -> Path:
        return self.directory / "token"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                length = int(self.headers["Content-Length"])
                server.bodies.append(json.loads(self.rfile.read(length)))
                status, text = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers["X-Consul-Token"]))
                self.send_response(server.credential_status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(time.time() + server.clock_ahead.total_seconds())

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoginServer]:
    with LoginServer(tmp_path) as server:
        yield server


async def test_the_token_is_shown_and_the_registration_understood(server: LoginServer) -> None:
    registration = await login(server.address(), server.token)
    assert server.bodies == [{"BearerToken": "the pod's token"}]
    assert registration.service == "hello"
    assert registration.sidecar.id == "hello-1-hello-sidecar-proxy"
    assert registration.sidecar.credential == "secret"


async def test_the_credential_is_in_no_representation(server: LoginServer) -> None:
    assert "secret" not in repr(await login(server.address(), server.token))


@pytest.mark.parametrize(("status", "refused"), [(200, False), (403, True), (404, False), (503, False)])
async def test_only_a_refusal_means_that_a_credential_does_not_count(
    server: LoginServer, status: int, refused: bool
) -> None:
    registration = await login(server.address(), server.token)
    server.credential_status = status
    assert await is_refused(server.address(), registration) is refused
    where = "/v1/pellucid/credential/hello-1-hello-sidecar-proxy?node=worker-virtual"
    assert server.asked == [(where, "secret")]


async def test_a_server_that_is_away_refuses_no_credential(server: LoginServer) -> None:
    registration = await login(server.address(), server.token)
    nobody = Server("localhost", 1, "localhost", 1, server.authority)
    assert not await is_refused(nobody, registration)
    stranger = server.address(authority=self_signed("localhost").certificate.decode())
    assert not await is_refused(stranger, registration)


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        (403, "Permission denied: the token has expired", "expired"),
        (404, "pod shop/hello-1 is not registered yet", "not registered yet"),
        (200, "{}", "not understood"),
        (200, "no json", "not understood"),
    ],
)
async def test_a_refusal_is_told_in_the_servers_words(
    server: LoginServer, status: int, text: str, reason: str
) -> None:
    server.answers = [(status, text)]
    with pytest.raises(NotLoggedIn, match=reason):
        await login(server.address(), server.token)


async def test_a_server_of_another_authority_is_not_spoken_to(server: LoginServer) -> None:
    stranger = self_signed("localhost").certificate.decode()
    with pytest.raises(NotLoggedIn, match="of an authority that is not trusted here; delete the pod"):
        await login(server.address(authority=stranger), server.token)
    with pytest.raises(
        NotLoggedIn, match="is not trusted: its certificate is not valid: IP address mismatch"
    ):
        await login(server.address(host="127.0.0.1"), server.token)
    assert server.bodies == []


async def test_nobody_there_and_no_token_are_told_apart(server: LoginServer) -> None:
    nobody = Server("localhost", 1, "localhost", 1, server.authority)
    with pytest.raises(NotLoggedIn, match="connection refused"):
        await login(nobody, server.token)
    with pytest.raises(NotLoggedIn, match="missing cannot be read: no such file"):
        await login(server.address(), server.directory / "missing")


async def test_it_asks_until_it_is_let_in_and_says_why_not(server: LoginServer) -> None:
    server.answers = [(404, "not yet"), (503, "no review"), (200, json.dumps(ANSWER))]
    reasons: list[str] = []
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    say: Callable[[str], None] = reasons.append
    registration = await logged_in(server.address(), server.token, say, sleep)
    assert registration.node == "worker-virtual"
    assert ["not yet" in reasons[0], "no review" in reasons[1]] == [True, True]
    assert pauses == sorted(pauses)
    assert len(pauses) == 2


@pytest.mark.parametrize("minutes", [-5, 5])
async def test_clocks_that_differ_by_minutes_are_no_matter(
    tmp_path: Path, minutes: int, caplog: pytest.LogCaptureFixture
) -> None:
    # A little less, for the time that the test itself takes.
    ahead = timedelta(minutes=minutes) * 0.95
    with LoginServer(tmp_path, clock_ahead=ahead) as server:
        await login(server.address(), server.token)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (timedelta(minutes=11), "the clock of this node is 11 minutes behind the server's"),
        (timedelta(hours=-3), "the clock of this node is 3 hours ahead of the server's"),
    ],
)
async def test_clocks_that_differ_by_more_are_told_beside_the_registration(
    tmp_path: Path, ahead: timedelta, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with LoginServer(tmp_path, clock_ahead=ahead) as server:
        await login(server.address(), server.token)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert told in record.getMessage()


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (timedelta(days=2), "its certificate is not yet valid: the clock here is behind"),
        (timedelta(days=-2), "its certificate has expired, or the clock here is ahead"),
    ],
)
async def test_clocks_that_differ_too_much_for_the_servers_certificate_are_the_reason_told(
    tmp_path: Path, ahead: timedelta, told: str
) -> None:
    with LoginServer(tmp_path, clock_ahead=ahead) as server, pytest.raises(NotLoggedIn, match=told):
        await login(server.address(), server.token)
