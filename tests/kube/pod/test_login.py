"""Logging in over real TLS: what is sent, what is understood, why it is not there yet."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pellucid.kube.pod.login import NotLoggedIn, logged_in, login
from pellucid.kube.pod.settings import Server
from tests.kube.pod.login_server import ANSWER, LoginServer
from tests.self_signed import self_signed


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
