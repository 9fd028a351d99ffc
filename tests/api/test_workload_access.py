"""Keys stay on this machine: what callers from elsewhere may do, with and without a credential."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pellucid.api.request import Peer, Request
from pellucid.api.response import Response
from pellucid.identity.credentials import hash_of
from pellucid.state.mesh_tables import CREDENTIALS
from tests.api.serving import NODE, ServedAgent

HEADER = "X-Pellucid-Workload-Credential"
HERE, ELSEWHERE = Peer("127.0.0.1"), Peer("192.0.2.7")
WEB = {"Name": "web", "Port": 80, "Connect": {"SidecarService": {}}}


async def ask(
    agent: ServedAgent, peer: Peer, method: str, target: str, body: Any = None, token: str = ""
) -> Response:
    """What a caller at `peer` is answered."""
    path, _, query = target.partition("?")
    headers = {"x-consul-token": token} if token else {}
    answer = agent.app.answer(
        Request(method, path, query, headers, b"" if body is None else json.dumps(body).encode(), peer)
    )
    if inspect.isawaitable(answer):
        answer = await answer
    if isinstance(answer, bytes):
        _, _, content = answer.partition(b"\r\n\r\n")
        return Response(200, content)
    return answer


async def register(
    agent: ServedAgent, peer: Peer, definition: Any, query: str = "", token: str = ""
) -> Response:
    return await ask(agent, peer, "PUT", f"/v1/agent/service/register{query}", definition, token)


def secret_of(answer: Response) -> str | None:
    return dict(answer.headers).get(HEADER)


async def leaf(agent: ServedAgent, peer: Peer, service: str, token: str = "") -> Response:
    return await ask(agent, peer, "GET", f"/v1/agent/connect/ca/leaf/{service}", token=token)


async def test_a_registration_is_answered_with_a_secret_of_which_only_a_hash_is_kept(
    agent: ServedAgent,
) -> None:
    secret = secret_of(await register(agent, HERE, WEB))
    assert secret is not None
    kept = {
        stored.value.service_id: stored.value.secret_sha256
        for stored in agent.log.snapshot().all(CREDENTIALS)
    }
    assert kept == {"web": hash_of(secret), "web-sidecar-proxy": hash_of(secret)}


async def test_registering_again_from_here_makes_a_new_secret_only_when_asked(agent: ServedAgent) -> None:
    first = secret_of(await register(agent, HERE, WEB))
    assert secret_of(await register(agent, HERE, WEB)) is None
    second = secret_of(await register(agent, HERE, WEB, "?pellucid-credential=new"))
    assert second not in (None, first)
    assert (await leaf(agent, ELSEWHERE, "web", str(first))).status == 403
    assert (await leaf(agent, ELSEWHERE, "web", str(second))).status == 200


async def test_programs_on_this_machine_get_any_leaf(agent: ServedAgent) -> None:
    assert (await leaf(agent, HERE, "anything")).status == 200
    assert (await leaf(agent, Peer(None), "anything")).status == 200


async def test_callers_from_elsewhere_get_a_leaf_only_with_a_credential_of_that_service(
    agent: ServedAgent,
) -> None:
    web = str(secret_of(await register(agent, HERE, WEB)))
    api = str(secret_of(await register(agent, HERE, {"Name": "api", "Port": 81})))
    refused = await leaf(agent, ELSEWHERE, "web")
    assert refused.status == 403
    assert refused.body.startswith(b'Permission denied: from another machine, a key of "web" needs')
    assert (await leaf(agent, ELSEWHERE, "web", api)).status == 403
    assert (await leaf(agent, ELSEWHERE, "web", "guess")).status == 403
    granted = await leaf(agent, ELSEWHERE, "web", web)
    assert b"PRIVATE KEY" in granted.body


async def test_an_answer_given_here_is_not_given_elsewhere(agent: ServedAgent) -> None:
    await register(agent, HERE, WEB)
    for _ in range(3):
        assert (await leaf(agent, HERE, "web")).status == 200
        assert (await leaf(agent, ELSEWHERE, "web")).status == 403


async def test_an_existing_id_is_changed_from_elsewhere_only_by_itself(agent: ServedAgent) -> None:
    secret = str(secret_of(await register(agent, HERE, WEB)))
    before = agent.log.revision
    assert (await register(agent, ELSEWHERE, {**WEB, "Port": 666})).status == 403
    assert agent.log.revision == before
    assert (await register(agent, ELSEWHERE, {**WEB, "Port": 8080}, token=secret)).status == 200


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/agent/service/deregister/web", None),
        ("/v1/agent/service/maintenance/web?enable=true", None),
        ("/v1/agent/check/register", {"Name": "mine", "TTL": "1s", "ServiceID": "web"}),
        ("/v1/agent/check/fail/alive", None),
        ("/v1/agent/check/update/alive", {"Status": "critical"}),
        ("/v1/agent/check/deregister/alive", None),
    ],
)
async def test_what_could_end_a_registration_so_that_its_name_is_free_needs_its_credential(
    agent: ServedAgent, target: str, body: Any
) -> None:
    alive = {"CheckID": "alive", "TTL": "30s", "DeregisterCriticalServiceAfter": "1m"}
    secret = str(secret_of(await register(agent, HERE, {**WEB, "Check": alive})))
    before = agent.log.revision
    assert (await ask(agent, ELSEWHERE, "PUT", target, body)).status == 403
    assert agent.log.revision == before
    assert (await ask(agent, ELSEWHERE, "PUT", target, body, secret)).status == 200


async def test_a_new_service_from_elsewhere_gets_its_credential(agent: ServedAgent) -> None:
    secret = secret_of(await register(agent, ELSEWHERE, WEB))
    assert (await leaf(agent, ELSEWHERE, "web", str(secret))).status == 200


async def test_nobody_joins_a_service_from_elsewhere_to_get_its_key(agent: ServedAgent) -> None:
    await register(agent, HERE, WEB)
    for impostor in (
        {"ID": "evil", "Name": "web", "Port": 1},
        {
            "ID": "evil",
            "Name": "evil",
            "Port": 1,
            "Kind": "connect-proxy",
            "Proxy": {"DestinationServiceName": "web"},
        },
    ):
        answer = await register(agent, ELSEWHERE, impostor)
        assert (answer.status, secret_of(answer)) == (200, None)
        await agent.client.put("/v1/agent/service/deregister/evil")


async def test_an_instance_may_bring_in_another_of_its_service(agent: ServedAgent) -> None:
    secret = str(secret_of(await register(agent, HERE, WEB)))
    second = await register(agent, ELSEWHERE, {"ID": "web2", "Name": "web", "Port": 1}, token=secret)
    assert secret_of(second) is not None


async def test_a_credential_does_not_follow_its_instance_into_another_service(agent: ServedAgent) -> None:
    await register(agent, HERE, WEB)
    secret = str(secret_of(await register(agent, ELSEWHERE, {"Name": "evil", "Port": 1})))
    assert (
        await register(agent, ELSEWHERE, {"ID": "evil", "Name": "web", "Port": 1}, token=secret)
    ).status == 200
    assert (await leaf(agent, ELSEWHERE, "web", secret)).status == 403


async def test_the_catalog_is_no_way_round(agent: ServedAgent) -> None:
    await register(agent, HERE, WEB)
    secret = str(secret_of(await register(agent, ELSEWHERE, {"Name": "evil", "Port": 1})))
    before = agent.log.snapshot()
    renamed = {"Node": NODE, "SkipNodeUpdate": True, "Service": {"ID": "evil", "Service": "web", "Port": 1}}
    assert (await ask(agent, ELSEWHERE, "PUT", "/v1/catalog/register", renamed, secret)).body == b"true"
    assert agent.log.snapshot() is before
    assert (await leaf(agent, ELSEWHERE, "web", secret)).status == 403


async def test_a_credential_is_renewed_by_programs_here_or_by_its_holder(agent: ServedAgent) -> None:
    first = str(secret_of(await register(agent, HERE, WEB)))
    target = "/v1/agent/connect/credential/web-sidecar-proxy"
    assert (await ask(agent, ELSEWHERE, "PUT", target)).status == 403
    second = str(secret_of(await ask(agent, ELSEWHERE, "PUT", target, token=first)))
    assert (await ask(agent, ELSEWHERE, "PUT", target, token=first)).status == 403
    third = str(secret_of(await ask(agent, HERE, "PUT", target)))
    assert len({first, second, third}) == 3
    assert (await ask(agent, HERE, "PUT", "/v1/agent/connect/credential/none")).status == 404


CA_CONFIGURATION = "/v1/connect/ca/configuration"


@pytest.mark.parametrize("spelling", ["PrivateKey", "private_key", "privatekey"])
async def test_the_authoritys_key_is_not_shown_elsewhere(agent: ServedAgent, spelling: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    wanted = {"Provider": "consul", "Config": {spelling: key.decode()}}
    assert (await ask(agent, HERE, "PUT", CA_CONFIGURATION, wanted)).status == 200
    assert b"PRIVATE KEY" in (await ask(agent, HERE, "GET", CA_CONFIGURATION)).body
    assert b"PRIVATE KEY" not in (await ask(agent, ELSEWHERE, "GET", CA_CONFIGURATION)).body


async def test_the_authority_is_not_replaced_from_elsewhere(agent: ServedAgent) -> None:
    before = agent.log.revision
    wanted = {"Provider": "consul", "Config": {"PrivateKeyBits": 384}}
    assert (await ask(agent, ELSEWHERE, "PUT", CA_CONFIGURATION, wanted)).status == 403
    assert agent.log.revision == before
    assert (await ask(agent, HERE, "PUT", CA_CONFIGURATION, wanted)).status == 200
