"""Whatever is sent to whichever endpoint: an answer of the documented kind, never an internal error."""

from __future__ import annotations

import asyncio
import inspect
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.api.app import App
from pellucid.api.connection import head_of
from pellucid.api.endpoints import ENDPOINTS
from pellucid.api.request import Peer, Request
from pellucid.api.response import Response
from tests.api.serving import ServedAgent

PATTERNS = sorted(e.pattern for e in ENDPOINTS if not e.pattern.startswith("/v1/agent/join"))
NAMES = st.sampled_from(
    ["web", "n1", "consul", "*", "", "a/b", "%00", "none", "global", "service-defaults/web"]
)
PARAMETERS = st.sampled_from(
    [
        "stale",
        "consistent",
        "cached",
        "index=1",
        "index=x",
        "index=18446744073709551616",
        "wait=-1s",
        "wait=1ns",
        "max_stale=1s",
        "filter=Service+==+web",
        "filter=(",
        "filter=Meta[`x`]+is+empty",
        "node-meta=a",
        "tag=x",
        "near=_agent",
        "pretty",
        "passing",
        "passing=x",
        "dc=dc9",
        "dc=dc1",
        "ns=x",
        "hash=x",
        "source=a",
        "destination=b",
        "by=source",
        "by=destination",
        "name=web",
        "kind=",
        "cas=0",
        "cas=x",
        "enable=true",
        "enable=x",
        "reason=r",
        "pem=1",
        "format=text",
        "format=prometheus",
        "segment=x",
        "wan=1",
        "compile-dc=dc2",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["connect-proxy", "10s", "allow", "passing", "*", "http", "global", "0.0.0.0", "spiffe://x"]
    )
)
KEYS = st.sampled_from(["Name", "ID", "Kind", "Node", "Port", "Meta", "Tags", "Bogus", "Action", "Weight"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)

BODIES: dict[str, Any] = {
    "PUT /v1/agent/service/register": {
        "Name": "web",
        "Kind": "",
        "Port": 80,
        "Address": "10.0.0.1",
        "Tags": ["a"],
        "Meta": {"k": "v"},
        "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 1}},
        "Weights": {"Passing": 1, "Warning": 1},
        "Check": {"TTL": "10s", "Status": "passing"},
        "Checks": [{"HTTP": "http://x", "Interval": "10s", "Header": {"a": ["b"]}}],
        "Proxy": {
            "DestinationServiceName": "x",
            "Config": {"a": 1},
            "Upstreams": [{"DestinationName": "db", "LocalBindPort": 1, "Config": {}}],
            "Expose": {"Paths": [{"Path": "/", "ListenerPort": 1, "LocalPathPort": 2}]},
        },
        "Connect": {"SidecarService": {"Port": 0, "Proxy": {"Mode": "transparent"}}},
    },
    "PUT /v1/agent/check/register": {"Name": "c", "TTL": "10s", "ServiceID": "web", "Status": "passing"},
    "PUT /v1/agent/check/update/service:web": {"Status": "passing", "Output": "x"},
    "PUT /v1/catalog/register": {
        "Node": "ext",
        "Address": "10.1.1.1",
        "NodeMeta": {"a": "b"},
        "Service": {"Service": "db", "Port": 1, "Proxy": {}, "Connect": {"Native": True}},
        "Checks": [{"Name": "c", "Status": "passing", "Definition": {"HTTP": "x", "Interval": "10s"}}],
    },
    "PUT /v1/catalog/deregister": {"Node": "ext", "ServiceID": "db"},
    "PUT /v1/config": {
        "Kind": "service-defaults",
        "Name": "web",
        "Protocol": "http",
        "UpstreamConfig": {"Defaults": {"ConnectTimeoutMs": 1, "Limits": {"MaxConnections": 1}}},
    },
    "PUT /v1/config?": {
        "Kind": "service-router",
        "Name": "web",
        "Routes": [{"Match": {"HTTP": {"PathPrefix": "/"}}, "Destination": {"RequestTimeout": "1s"}}],
    },
    "PUT /v1/config?&": {
        "Kind": "service-resolver",
        "Name": "api",
        "Subsets": {"v1": {"Filter": "x"}},
        "Failover": {"*": {"Datacenters": ["dc2"]}},
        "LoadBalancer": {"Policy": "ring_hash", "HashPolicies": [{"Field": "header", "FieldValue": "x"}]},
    },
    "PUT /v1/config?&&": {
        "Kind": "service-intentions",
        "Name": "api",
        "Sources": [{"Name": "a", "Action": "allow"}, {"Name": "b", "Permissions": [{"Action": "deny"}]}],
    },
    "PUT /v1/connect/intentions/exact?source=a&destination=c": {"Action": "allow", "Meta": {"a": "b"}},
    "POST /v1/connect/intentions": {"SourceName": "a", "DestinationName": "d", "Action": "allow"},
    "POST /v1/agent/connect/authorize": {
        "Target": "web",
        "ClientCertURI": "spiffe://t/ns/default/dc/dc1/svc/a",
    },
    "PUT /v1/connect/ca/configuration": {"Provider": "consul", "Config": {"LeafCertTTL": "72h"}},
    "POST /v1/discovery-chain/web": {"OverrideProtocol": "http", "OverrideMeshGateway": {"Mode": "local"}},
}
"""Requests that are in order, to be spoilt in one place."""


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, bytes]:
    """A request line, and its body with one value replaced by another or one key added."""
    line = draw(st.sampled_from(sorted(BODIES)))
    body = json.loads(json.dumps(BODIES[line]))
    place: Any = body
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            place[key] = draw(VALUES)
            return line, json.dumps(body).encode()
        place = inner


@pytest.fixture(scope="module")
def served() -> Any:
    """An agent on a loop of its own, which the examples borrow."""
    loop = asyncio.new_event_loop()
    agent = loop.run_until_complete(_started())
    yield agent, loop
    loop.run_until_complete(agent.stop())
    loop.close()


async def _started() -> ServedAgent:
    agent = ServedAgent()
    await agent.start()
    web = {"Name": "web", "Port": 80, "Connect": {"SidecarService": {}}}
    await agent.client.put("/v1/agent/service/register", json=web)
    agent.app = App(agent.context, Random(1))
    return agent


async def _answer(agent: ServedAgent, request: Request) -> Response:
    answer = agent.app.answer(request)
    if inspect.isawaitable(answer):
        answer = await asyncio.wait_for(answer, 30)
    return Response(200, answer) if isinstance(answer, bytes) else answer


@given(
    pattern=st.sampled_from(PATTERNS),
    name=NAMES,
    method=st.sampled_from(["GET", "GET", "GET", "PUT", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
    parameters=st.lists(PARAMETERS, max_size=3),
    body=VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
    peer=st.sampled_from([None, "127.0.0.1", "192.0.2.1"]),
)
def test_any_request_is_answered(
    served: Any, pattern: str, name: str, method: str, parameters: list[str], body: bytes, peer: str | None
) -> None:
    path = pattern + name if pattern.endswith("/") else pattern
    query = "&".join([*parameters, "wait=1ms"])
    _answered(served, Request(method, path, query, {}, body, Peer(peer)))


@given(sent=spoilt())
def test_a_body_wrong_in_one_place_is_answered(served: Any, sent: tuple[str, bytes]) -> None:
    line, body = sent
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    _answered(served, Request(method, path, query, {}, body, Peer()))
    for read in ("/v1/agent/services", "/v1/internal/ui/services", "/v1/health/state/any", "/v1/config/"):
        assert _answered(served, Request("GET", read, "", {}, b"", Peer())).status == 200


def _answered(served: Any, request: Request) -> Response:
    agent, loop = served
    response: Response = loop.run_until_complete(_answer(agent, request))
    assert response.body != b"Internal Server Error"
    assert head_of(response, keep_alive=True).endswith(b"\r\n\r\n")
    return response
