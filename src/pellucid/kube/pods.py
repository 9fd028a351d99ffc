"""What is read off a pod's specification by more than one part: its ports, and who redirects its traffic.

A pod is the JSON of the Kubernetes API; reading does not fail for what is missing.

Source: Kubernetes API reference, "Pod v1 core".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]

SIDECAR_CONTAINER = "envoy-sidecar"
INIT_CONTAINER = "consul-connect-inject-init"
SIDECAR_CONTAINERS = frozenset((SIDECAR_CONTAINER, "consul-sidecar"))
"""Containers that are the mesh's, and none of the application's."""
DATA_DIRECTORY = "/consul/connect-inject"
"""Where the mesh's containers of a pod keep their files, which last as long as the pod."""
KUMA_INIT_IMAGE = "kuma-init"

_IN_PLACE_OF_TAG = ("@", ":")


def containers_of(spec: Object) -> list[Object]:
    """The application's containers, in order."""
    containers: Sequence[Object] = spec.get("containers") or ()
    return [container for container in containers if container.get("name") not in SIDECAR_CONTAINERS]


def init_containers_of(spec: Object) -> list[Object]:
    """The init containers that are not the mesh's, in order."""
    containers: Sequence[Object] = spec.get("initContainers") or ()
    ours = SIDECAR_CONTAINERS | {INIT_CONTAINER}
    return [container for container in containers if container.get("name") not in ours]


def native_sidecars_of(spec: Object) -> list[Object]:
    """The application's own native sidecars: init containers that stay, in order."""
    return [each for each in init_containers_of(spec) if each.get("restartPolicy") == "Always"]


def ports_of(containers: Sequence[Object]) -> Iterator[Object]:
    """The ports that containers declare, in order."""
    for container in containers:
        yield from container.get("ports") or ()


def named_ports(containers: Sequence[Object]) -> dict[str, int]:
    """The numbers of the ports that have names; the first of a name counts."""
    numbers: dict[str, int] = {}
    for port in ports_of(containers):
        if name := port.get("name"):
            numbers.setdefault(name, port["containerPort"])
    return numbers


def image_name(image: str) -> str:
    """The last component of an image's path, without registry, tag and digest.

    >>> image_name("registry.example:5000/kuma/kuma-init:1.0.3@sha256:00ff")
    'kuma-init'
    """
    name = image.rpartition("/")[2]
    for mark in _IN_PLACE_OF_TAG:
        name = name.partition(mark)[0]
    return name


def redirecting_init_container(spec: Object) -> Object | None:
    """The init container by which a pod's author redirects its traffic, None if there is none."""
    for container in init_containers_of(spec):
        if image_name(container.get("image") or "") == KUMA_INIT_IMAGE:
            return container
    return None
