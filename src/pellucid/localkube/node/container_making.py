"""What one container is made from: its specification, and everything that it refers to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.localkube.images.image import Image
from pellucid.localkube.node.environment import PodFacts, container_environment, service_environment
from pellucid.localkube.node.node_parts import NodeParts
from pellucid.localkube.node.oci_config import ContainerSettings
from pellucid.localkube.node.pod_files import PodFiles
from pellucid.localkube.node.pod_settings import container_settings
from pellucid.localkube.node.pod_volumes import pod_sources
from pellucid.localkube.node.volumes import container_mounts
from pellucid.localkube.types.kinds import SERVICES

Object = dict[str, Any]


def settings_of(
    parts: NodeParts,
    pod: Object,
    container: Object,
    image: Image,
    facts: PodFacts,
    files: PodFiles,
    volumes: Mapping[str, Path],
) -> ContainerSettings:
    """Raises ConfigurationError, VolumeError, and ValueError on an amount that is none."""
    hostname = {"HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"]}
    inherited = {**image.environment, **hostname, **service_environment(_linked_services(parts, pod))}
    sources = pod_sources(parts, pod["metadata"]["namespace"])
    environment = container_environment(pod, container, facts, sources, inherited)
    mounts = container_mounts(container, volumes, environment)
    taken = {mount.destination for mount in mounts}
    own = [mount for mount in files.own_mounts(container) if mount.destination not in taken]
    return container_settings(pod, container, image, environment, (*own, *mounts))


def _linked_services(parts: NodeParts, pod: Object) -> list[Object]:
    """Those of the pod's namespace, unless it wants none, and always the API's own."""
    namespace, linked = pod["metadata"]["namespace"], pod["spec"].get("enableServiceLinks", True)
    places = ((one, one["metadata"]["namespace"]) for one in parts.resources.select(SERVICES)[1])
    return [
        one
        for one, place in places
        if (linked and place == namespace) or (place, one["metadata"]["name"]) == ("default", "kubernetes")
    ]
