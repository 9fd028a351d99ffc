"""Pods as their authors write them, and injectors to put them through."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pellucid.kube.annotations import InvalidAnnotationError
from pellucid.kube.injector.mutation import Injected, injected
from pellucid.kube.injector.settings import InjectorSettings

PREFIX = "consul.hashicorp.com/"
SETTINGS = InjectorSettings(
    image="pellucid/pellucid:test",
    http_address="https://consul-consul-server.consul.svc:8501",
    grpc_address="consul-consul-server.consul.svc:8502",
    server_authority="-----BEGIN CERTIFICATE-----\n",
    token_audience="consul-consul",
)
UNDIRECTED: dict[str, Any] = {"transparent_by_default": False}
"""Settings under which nothing is redirected unless a pod asks."""

Container = dict[str, Any]
Pod = dict[str, Any]


def container(name: str = "web", **fields: Any) -> Container:
    """A container with a port named `http`."""
    return {"name": name, "image": name, "ports": [{"name": "http", "containerPort": 8080}], **fields}


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
    """A pod of one container. annotations: of ours, without their prefix."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-1",
            "namespace": "default",
            "annotations": {PREFIX + name: text for name, text in (annotations or {}).items()},
        },
        "spec": {"containers": [container()], **spec},
    }


def kuma_init(*arguments: str, **fields: Any) -> Container:
    """The init container by which walkthroughs redirect; arguments: after the usual ones."""
    usual = ["-p", "15001", "-z", "20000", "-u", "0", "-g", "0", "-m", "REDIRECT", "-i", "*", "-b", "*"]
    return {
        "name": "kuma-init",
        "image": "registry.example:5000/kuma/kuma-init:1.0.3",
        "args": [*usual, "-d", "", "-o", "", *arguments],
        **fields,
    }


def inject(author: Pod, labels: dict[str, str] | None = None, **settings: Any) -> Pod:
    """The pod with its sidecar. labels: of the namespace; settings: other than SETTINGS."""
    return outcome(author, labels, **settings).pod


def outcome(author: Pod, labels: dict[str, str] | None = None, **settings: Any) -> Injected:
    """As `inject`, with the warnings. What the injector was given it has not changed."""
    given = copy.deepcopy(author)
    result = injected(author, labels or {}, settings_with(**settings))
    assert author == given
    return result


def settings_with(**changes: Any) -> InjectorSettings:
    return InjectorSettings(
        **{**{name: getattr(SETTINGS, name) for name in SETTINGS.__struct_fields__}, **changes}
    )


def refusal(author: Pod, labels: dict[str, str] | None = None, **settings: Any) -> str:
    """Why the pod can't have a sidecar."""
    with pytest.raises(InvalidAnnotationError) as refused:
        inject(author, labels, **settings)
    return str(refused.value)


def names(containers: list[Container] | None) -> list[str]:
    return [each["name"] for each in containers or ()]


def named(changed: Pod, name: str) -> Container:
    """A container or init container by its name."""
    spec = changed["spec"]
    (found,) = (each for each in (*spec["initContainers"], *spec["containers"]) if each["name"] == name)
    return dict(found)


def flags(changed: Pod, name: str = "envoy-sidecar") -> list[str]:
    """What a container of ours is told, after its command's name."""
    return list(named(changed, name)["command"][3:])


def notes(changed: Pod) -> dict[str, str]:
    """The pod's annotations of ours, without their prefix."""
    texts: dict[str, str] = changed["metadata"]["annotations"]
    return {name.removeprefix(PREFIX): text for name, text in texts.items() if name.startswith(PREFIX)}
