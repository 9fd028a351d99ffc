"""Who redirects a pod's traffic, and which of its containers are whose."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.kube.pods import (
    containers_of,
    image_name,
    init_containers_of,
    named_ports,
    native_sidecars_of,
    redirecting_init_container,
)


@pytest.mark.parametrize(
    "image",
    [
        "kuma-init",
        "kuma-init:1.0.3",
        "kong-docker-kuma-docker.bintray.io/kuma-init:1.0.3",
        "localhost:5000/kuma-init",
        "kumahq/kuma-init@sha256:0f5a",
        "registry.example:5000/mesh/kuma-init:1.0.3@sha256:0f5a",
    ],
)
def test_an_images_name_is_its_last_component_without_tag_and_digest(image: str) -> None:
    assert image_name(image) == "kuma-init"
    assert redirecting_init_container({"initContainers": [{"name": "any", "image": image}]}) is not None


@pytest.mark.parametrize("image", ["", "kuma-init/web", "kuma-initial:1", "my-kuma-init:1", "web:kuma-init"])
def test_other_images_do_not_redirect(image: str) -> None:
    assert redirecting_init_container({"initContainers": [{"name": "kuma-init", "image": image}]}) is None


def test_a_container_that_is_no_init_container_does_not_redirect() -> None:
    assert redirecting_init_container({"containers": [{"name": "a", "image": "kuma-init"}]}) is None


def test_the_meshs_own_containers_are_none_of_the_applications() -> None:
    spec = {
        "initContainers": [
            {"name": "consul-connect-inject-init"},
            {"name": "envoy-sidecar", "restartPolicy": "Always"},
            {"name": "cache", "restartPolicy": "Always"},
            {"name": "migrate"},
        ],
        "containers": [{"name": "envoy-sidecar"}, {"name": "consul-sidecar"}, {"name": "web"}],
    }
    assert [each["name"] for each in containers_of(spec)] == ["web"]
    assert [each["name"] for each in init_containers_of(spec)] == ["cache", "migrate"]
    assert [each["name"] for each in native_sidecars_of(spec)] == ["cache"]


def test_the_first_port_of_a_name_counts() -> None:
    containers: list[dict[str, Any]] = [
        {"ports": [{"name": "http", "containerPort": 80}, {"containerPort": 81}]},
        {"ports": [{"name": "http", "containerPort": 82}, {"name": "db", "containerPort": 83}]},
        {},
    ]
    assert named_ports(containers) == {"http": 80, "db": 83}
