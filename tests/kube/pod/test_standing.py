"""What a registered pod asks of the server, and what the answers mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from pellucid.kube.pod.login import login
from pellucid.kube.pod.settings import Server
from pellucid.kube.pod.standing import is_refused, is_withdrawn
from tests.kube.pod.login_server import LoginServer
from tests.self_signed import self_signed


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoginServer]:
    with LoginServer(tmp_path) as server:
        yield server


@pytest.mark.parametrize(("status", "refused"), [(200, False), (403, True), (404, False), (503, False)])
async def test_only_a_refusal_means_that_a_credential_does_not_count(
    server: LoginServer, status: int, refused: bool
) -> None:
    registration = await login(server.address(), server.token)
    server.status = status
    assert await is_refused(server.address(), registration) is refused
    where = "/v1/pellucid/credential/hello-1-hello-sidecar-proxy?node=worker-virtual"
    assert server.asked == [(where, "secret")]


@pytest.mark.parametrize(
    ("status", "text", "withdrawn"),
    [
        (200, '[{"Status": "passing"}]', False),
        (200, '[{"Status": "passing"}, {"Status": "critical"}]', True),
        (200, "[]", True),
        (200, "{}", None),
        (500, "no", None),
    ],
    ids=["called", "unwell", "not registered any more", "not understood", "no answer"],
)
async def test_a_pod_is_withdrawn_when_its_sidecar_counts_as_unwell_or_is_gone(
    server: LoginServer, status: int, text: str, withdrawn: bool | None
) -> None:
    registration = await login(server.address(), server.token)
    server.status, server.text = status, text
    assert await is_withdrawn(server.address(), registration) is withdrawn
    ((where, token),) = server.asked
    of_this_pod = 'ServiceID == "hello-1-hello-sidecar-proxy" and Node == "worker-virtual"'
    assert unquote_plus(where) == f"/v1/health/checks/hello-sidecar-proxy?filter={of_this_pod}"
    assert token is None


async def test_a_server_that_is_away_says_nothing(server: LoginServer) -> None:
    registration = await login(server.address(), server.token)
    nobody = Server("localhost", 1, "localhost", 1, server.authority)
    assert not await is_refused(nobody, registration)
    assert await is_withdrawn(nobody, registration) is None
    stranger = server.address(authority=self_signed("localhost").certificate.decode())
    assert not await is_refused(stranger, registration)
