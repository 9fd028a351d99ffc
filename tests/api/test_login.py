"""A pod logs in with its token; nobody else writes from elsewhere."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from pellucid.api.callers import Caller, TokenRefused, TokensUnavailable
from pellucid.api.context import HttpSettings
from pellucid.api.request import Peer, Request
from pellucid.identity.credentials import is_secret_of
from pellucid.state.mesh_tables import CREDENTIALS
from tests.api.serving import ServedAgent

POD = Caller("shop", "default", "hello-1", "uid-1")
KNOWN = {
    "pod": POD,
    "later-pod": Caller("shop", "default", "hello-1", "uid-2"),
    "unbound": Caller("shop", "default"),
    "registrar": Caller("mesh", "injector", may_write=True),
}
ELSEWHERE = HttpSettings(allow_write_from=(ip_network("192.0.2.0/24"),))
"""The tests call from loopback, which is then no place to write from."""


class Tokens:
    """Knows a few callers."""

    async def caller(self, token: str) -> Caller:
        if token == "away":
            raise TokensUnavailable("the API is away")
        if token not in KNOWN:
            raise TokenRefused("the token has expired")
        return KNOWN[token]


@pytest.fixture
async def agent() -> AsyncIterator[ServedAgent]:
    served = ServedAgent(ELSEWHERE)
    served.context.tokens = Tokens()
    await served.start()
    yield served
    await served.stop()


def registration(name: str, uid: str, **service: object) -> dict[str, object]:
    meta = {"pod-name": "hello-1", "k8s-namespace": "shop", "pod-uid": uid}
    own = {"ID": f"hello-1-{name}", "Service": name, "Address": "10.1.0.9", "Meta": meta, **service}
    return {"Node": "worker-virtual", "Address": "10.1.0.2", "Service": own}


async def register(agent: ServedAgent, uid: str = "uid-1") -> None:
    proxy = {"DestinationServiceName": "hello", "DestinationServiceID": "hello-1-hello"}
    for body in (
        registration("hello", uid, Port=8080),
        registration("hello-sidecar-proxy", uid, Port=20000, Kind="connect-proxy", Proxy=proxy),
    ):
        headers = {"X-Consul-Token": "registrar"}
        answer = await agent.client.put("/v1/catalog/register", json=body, headers=headers)
        assert answer.text == "true", answer.text


async def login(agent: ServedAgent, token: str, wait: str = "0s") -> tuple[int, str]:
    answer = await agent.client.put(f"/v1/pellucid/login?wait={wait}", json={"BearerToken": token})
    return answer.status_code, answer.text


async def test_a_pod_gets_the_credential_of_its_own_instances(agent: ServedAgent) -> None:
    await register(agent)
    answer = await agent.client.put("/v1/pellucid/login", json={"BearerToken": "pod"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["Node"] == "worker-virtual"
    assert [(each["ID"], each["Kind"]) for each in body["Services"]] == [
        ("hello-1-hello", ""),
        ("hello-1-hello-sidecar-proxy", "connect-proxy"),
    ]
    for each in body["Services"]:
        stored = agent.log.head.get(CREDENTIALS, ("worker-virtual", each["ID"]))
        assert stored is not None
        assert is_secret_of(stored.value, each["Credential"])


async def test_a_new_login_replaces_the_credential(agent: ServedAgent) -> None:
    await register(agent)
    await login(agent, "pod")
    first = agent.log.head.get(CREDENTIALS, ("worker-virtual", "hello-1-hello"))
    await login(agent, "pod")
    second = agent.log.head.get(CREDENTIALS, ("worker-virtual", "hello-1-hello"))
    assert first is not None
    assert second is not None
    assert first.value.secret_sha256 != second.value.secret_sha256


async def test_a_later_pod_of_the_same_name_does_not_inherit_the_credential(agent: ServedAgent) -> None:
    await register(agent, "uid-1")
    await login(agent, "pod")
    await register(agent, "uid-1")
    key = ("worker-virtual", "hello-1-hello-sidecar-proxy")
    assert agent.log.head.get(CREDENTIALS, key) is not None
    await register(agent, "uid-2")
    assert agent.log.head.get(CREDENTIALS, key) is None
    assert (await login(agent, "pod"))[0] == 404
    assert (await login(agent, "later-pod"))[0] == 200


async def test_a_credential_is_told_from_what_is_none(agent: ServedAgent) -> None:
    await register(agent)
    given = json.loads((await login(agent, "pod"))[1])["Services"][1]

    async def asked(token: str, service: str = given["ID"], node: str = "worker-virtual") -> tuple[int, str]:
        answer = await agent.client.get(
            f"/v1/pellucid/credential/{service}?node={node}", headers={"X-Consul-Token": token}
        )
        return answer.status_code, answer.text

    assert await asked(given["Credential"]) == (200, "true")
    refused = (
        403,
        'Permission denied: the token is not the workload credential of "hello-1-hello-sidecar-proxy"',
    )
    assert await asked("") == refused
    assert await asked("pellucid-guessed") == refused
    assert await asked(given["Credential"], node="another") == refused
    assert (await asked(given["Credential"], "another"))[0] == 403
    await login(agent, "pod")
    assert await asked(given["Credential"]) == refused


async def test_it_waits_for_the_registration(agent: ServedAgent) -> None:
    waiting = asyncio.create_task(login(agent, "pod", "20s"))
    await asyncio.sleep(0)
    await register(agent)
    assert (await waiting)[0] == 200


@pytest.mark.parametrize(
    ("token", "status", "reason"),
    [
        ("stolen", 403, "the token has expired"),
        ("unbound", 403, "not bound to a pod"),
        ("later-pod", 404, "pod shop/hello-1 has no service registered yet"),
        ("away", 503, "the API is away"),
        ("", 403, "expired"),
    ],
)
async def test_others_are_told_why_not(agent: ServedAgent, token: str, status: int, reason: str) -> None:
    await register(agent)
    code, text = await login(agent, token)
    assert code == status
    assert reason in text


async def test_a_token_in_plain_text_from_elsewhere_is_refused(agent: ServedAgent) -> None:
    await register(agent)
    body = b'{"BearerToken": "pod"}'
    for peer, status in ((Peer("192.0.2.7"), 403), (Peer("192.0.2.7", encrypted=True), 200)):
        outcome = agent.app.answer(Request("PUT", "/v1/pellucid/login", "", {}, body, peer))
        assert inspect.isawaitable(outcome)
        assert (await outcome).status == status


async def test_without_tokens_there_is_no_login(agent: ServedAgent) -> None:
    agent.context.tokens = None
    assert (await login(agent, "pod"))[0] == 404


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 403, "needs the token of a registrar"),
        ({"X-Consul-Token": "pod"}, 403, "service account shop/default is no registrar"),
        ({"X-Consul-Token": "stolen"}, 403, "expired"),
        ({"X-Consul-Token": "away"}, 503, "the API is away"),
        ({"Authorization": "Bearer registrar"}, 200, "true"),
    ],
)
async def test_writing_from_elsewhere_needs_a_registrars_token(
    agent: ServedAgent, headers: dict[str, str], status: int, reason: str
) -> None:
    entry = {"Kind": "proxy-defaults", "Name": "global"}
    answer = await agent.client.put("/v1/config", json=entry, headers=headers)
    assert answer.status_code == status
    assert reason in answer.text


async def test_registering_the_same_again_changes_nothing(agent: ServedAgent) -> None:
    await register(agent)
    before = agent.log.revision
    await register(agent)
    assert agent.log.revision == before


async def test_reading_from_elsewhere_needs_nothing(agent: ServedAgent) -> None:
    assert (await agent.client.get("/v1/catalog/services")).status_code == 200
