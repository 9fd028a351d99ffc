"""Which of a pod's secrets a registry is shown."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pellucid.localkube.images.pull_credentials import PullCredentials, credentials_for
from pellucid.localkube.images.reference import parse_reference


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(entries: dict[str, Any], kind: str = "dockerconfigjson") -> dict[str, Any]:
    document = {"auths": entries} if kind == "dockerconfigjson" else entries
    return {"type": f"kubernetes.io/{kind}", "data": {f".{kind}": encoded(json.dumps(document))}}


def user_for(image: str, *secrets: dict[str, Any]) -> str | None:
    found = credentials_for(parse_reference(image), secrets)
    return None if found is None else found.user


@pytest.mark.parametrize("kind", ["dockerconfigjson", "dockercfg"])
def test_a_registrys_entry_is_found_by_its_name(kind: str) -> None:
    entries = {"registry.example:5000": {"username": "u", "password": "p"}}
    found = credentials_for(parse_reference("registry.example:5000/a:1"), [secret(entries, kind)])
    assert found == PullCredentials("u", "p")
    assert user_for("other.example/a:1", secret(entries, kind)) is None


@pytest.mark.parametrize("name", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_has_several_names(name: str) -> None:
    assert user_for("busybox", secret({name: {"auth": encoded("hub:p:w")}})) == "hub"


def test_a_password_may_have_a_colon_and_is_never_shown() -> None:
    [found] = [
        credentials_for(parse_reference("a.example/b"), [secret({"a.example": {"auth": encoded("u:p:w")}})])
    ]
    assert found == PullCredentials("u", "p:w")
    assert "p:w" not in repr(found)
    assert found.basic() == "Basic " + encoded("u:p:w")


def test_the_longest_name_counts_and_of_equals_the_first() -> None:
    wide, narrow = {"username": "wide", "password": ""}, {"username": "narrow", "password": ""}
    both = secret({"a.example": wide, "a.example/team": narrow})
    assert user_for("a.example/team/app", both) == "narrow"
    assert user_for("a.example/teammate/app", both) == "wide"
    assert user_for("a.example/b", secret({"a.example": wide}), secret({"a.example": narrow})) == "wide"


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "Opaque", "data": {".dockerconfigjson": encoded("{}")}},
        {"type": "kubernetes.io/dockerconfigjson", "data": {}},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded("[1]")}},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": encoded("no json")}},
        secret({"a.example": "u:p"}),
        secret({"a.example": {"auth": "***"}}),
    ],
)
def test_a_secret_that_makes_no_sense_proves_nothing(broken: dict[str, Any]) -> None:
    assert user_for("a.example/b", broken) is None
