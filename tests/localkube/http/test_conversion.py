"""A custom kind whose versions differ: its webhook converts, and its failures are told."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pellucid.localkube.api.conversion import ConversionWebhooks
from pellucid.localkube.http.connection import Request, Response
from pellucid.localkube.types.kinds import CUSTOM_RESOURCE_DEFINITIONS, Resource
from tests.localkube.http.served import Served, webhook_at

Object = dict[str, Any]


def converted(value: Object, api_version: str) -> Object:
    """v1 says `spec.hostPort`, v2 says `spec.host` and `spec.port`."""
    spec = value["spec"]
    if api_version.endswith("/v2") and "hostPort" in spec:
        host, port = spec["hostPort"].split(":")
        spec = {"host": host, "port": port}
    elif api_version.endswith("/v1") and "host" in spec:
        spec = {"hostPort": f"{spec['host']}:{spec['port']}"}
    return {**value, "apiVersion": api_version, "spec": spec}


class Converter:
    """The webhook, which can be told to answer otherwise."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[tuple[str, int]] = []
        self.spoil: Callable[[Object], Object] = lambda response: response

    async def __call__(self, request: Request) -> Response:
        review = json.loads(request.body)
        asked = review["request"]
        self.asked.append((asked["desiredAPIVersion"], len(asked["objects"])))
        objects = [converted(one, asked["desiredAPIVersion"]) for one in asked["objects"]]
        response = {"uid": asked["uid"], "convertedObjects": objects, "result": {"status": "Success"}}
        return Response(body=msgspec.json.encode({**review, "response": self.spoil(response)}))


def definition(port: int, authority: Path) -> Object:
    def version(name: str, *fields: str) -> Object:
        spec = {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
        schema = {"type": "object", "properties": {"spec": spec}}
        return {
            "name": name,
            "served": True,
            "storage": name == "v2",
            "schema": {"openAPIV3Schema": schema},
        }

    client = {
        "url": f"https://127.0.0.1:{port}/convert",
        "caBundle": base64.b64encode(authority.read_bytes()).decode(),
    }
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    return {
        "metadata": {"name": "routes.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "routes", "kind": "Route"},
            "versions": [version("v1", "hostPort"), version("v2", "host", "port")],
            "conversion": {"strategy": "Webhook", "webhook": webhook},
        },
    }


@pytest.fixture
async def converter(served: Served) -> AsyncIterator[Converter]:
    converter = Converter()
    async with webhook_at(served, converter) as (port, client):
        converter.port = port
        served.resources.conversion = ConversionWebhooks(client)
        wanted = definition(port, served.authority)
        await served.resources.create(CUSTOM_RESOURCE_DEFINITIONS, "", wanted)
        await served.kubectl("create", "-f", "-", stdin=json.dumps(route("a")))
        yield converter


def route(name: str) -> Object:
    spec = {"hostPort": "example.com:80"}
    return {"apiVersion": "example.com/v1", "kind": "Route", "metadata": {"name": name}, "spec": spec}


def kind(served: Served, version: str) -> Resource:
    found = served.resources.kind("example.com", "routes", version)
    assert found is not None
    return found


async def test_each_version_is_seen_as_it_is_and_one_is_stored(served: Served, converter: Converter) -> None:
    stored = served.resources.peek(kind(served, "v2"), "default", "a")
    assert stored is not None
    assert (stored["apiVersion"], stored["spec"]) == ("example.com/v2", {"host": "example.com", "port": "80"})
    one = await served.kubectl("get", "routes.v1.example.com", "a", "-o", "jsonpath={.spec.hostPort}")
    other = await served.kubectl("get", "routes.v2.example.com", "a", "-o", "jsonpath={.spec.port}")
    assert (one, other) == ("example.com:80", "80")


async def test_a_list_is_converted_by_one_call(served: Served, converter: Converter) -> None:
    for name in ("b", "c"):
        await served.kubectl("create", "-f", "-", stdin=json.dumps(route(name)))
    converter.asked.clear()
    listed = await served.kubectl("get", "routes.v1.example.com", "-o", "jsonpath={.items[*].spec.hostPort}")
    assert listed == "example.com:80 example.com:80 example.com:80"
    assert converter.asked == [("example.com/v1", 3)]


async def test_a_patch_in_one_version_changes_what_the_other_shows(
    served: Served, converter: Converter
) -> None:
    patch = json.dumps({"spec": {"hostPort": "example.org:443"}})
    await served.kubectl("patch", "routes.v1.example.com", "a", "--type=merge", "-p", patch)
    found = await served.kubectl("get", "routes.v2.example.com", "a", "-o", "jsonpath={.spec}")
    assert json.loads(found) == {"host": "example.org", "port": "443"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda response: {**response, "uid": "other"}, "expected response.uid="),
        (
            lambda response: {**response, "result": {"status": "Failed", "message": "no such port"}},
            "no such port",
        ),
        (lambda response: {**response, "convertedObjects": []}, "expected 1 converted objects, got 0"),
        (lambda response: {**response, "convertedObjects": [{"metadata": {}}]}, "invalid converted object"),
    ],
    ids=["uid", "failed", "too few", "another object"],
)
async def test_a_conversion_that_fails_is_told(
    served: Served, converter: Converter, spoil: Callable[[Object], Object], said: str
) -> None:
    converter.spoil = spoil
    code, _, errors = await served.try_kubectl("get", "routes.v1.example.com", "a")
    assert code == 1
    assert "conversion webhook for example.com/v1, Kind=Route failed: " in errors
    assert said in errors
    assert await served.kubectl("get", "routes.v2.example.com", "a", "-o", "name") == "route.example.com/a\n"
