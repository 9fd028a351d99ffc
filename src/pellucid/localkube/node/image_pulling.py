"""A container's image, by its pull policy: one that is here, or one that is pulled; and what users are told.

Source: Kubernetes docs, "Images" - image pull policy; the kubelet's events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pellucid.localkube.api.store import Resources
from pellucid.localkube.images.image import Image, ImageNotAvailable, ImageNotPresent
from pellucid.localkube.images.image_table import ImageTable
from pellucid.localkube.images.reference import InvalidImageName
from pellucid.localkube.node.observations import ContainerObservation, after_pull_failure
from pellucid.localkube.types.kinds import SECRETS

Object = dict[str, Any]
Tell = Callable[[str, str], None]
"""A reason and a message, for an event of the container."""


class NeverPulled(ImageNotAvailable):
    """The image is not here, and the container does not want it pulled."""


async def container_image(
    images: ImageTable, resources: Resources, pod: Object, container: Object, tell: Tell
) -> Image:
    """Raises InvalidImageName, InvalidImageTable, ImageNotAvailable, NeverPulled."""
    name, policy = container["image"], container.get("imagePullPolicy", "IfNotPresent")
    secrets = _pull_secrets(resources, pod)
    try:
        image = images.find(name)
    except ImageNotPresent:
        if policy == "Never":
            said = f'Container image "{name}" is not present with pull policy of Never'
            raise NeverPulled(said) from None
    else:
        if policy != "Always" or await images.is_current(image, name, secrets):
            tell("Pulled", f'Container image "{name}" already present on machine')
            return image
    tell("Pulling", f'Pulling image "{name}"')
    began = time.monotonic()
    pulled = await images.pull(name, secrets)
    taken = f"{time.monotonic() - began:.3f}s"
    said = f'Successfully pulled image "{name}" in {taken} ({taken} including waiting). '
    tell("Pulled", f"{said}Image size: {pulled.size} bytes.")
    return pulled.image


def pull_failure(
    one: ContainerObservation, image: str, problem: Exception, now: datetime
) -> tuple[ContainerObservation, list[tuple[str, str]]]:
    """What is known of a container whose image could not be had, and the events to tell: reason, message."""
    said = str(problem)
    known = {InvalidImageName: "InvalidImageName", NeverPulled: "ErrImageNeverPull"}
    if reason := known.get(type(problem)):
        event = "InspectFailed" if reason == "InvalidImageName" else reason
        return after_pull_failure(one, reason, said, now), [(event, said)]
    first = one.pull_failures == 0
    reason = "ErrImagePull" if first else "ImagePullBackOff"
    shown = said if first else f'Back-off pulling image "{image}": ErrImagePull: {said}'
    failed = f'Failed to pull image "{image}": {said}'
    return after_pull_failure(one, reason, shown, now), [("Failed", failed), ("Failed", f"Error: {reason}")]


def _pull_secrets(resources: Resources, pod: Object) -> list[Mapping[str, Any]]:
    namespace = pod["metadata"]["namespace"]
    named = [one.get("name", "") for one in pod["spec"].get("imagePullSecrets") or ()]
    found = (resources.peek(SECRETS, namespace, name) for name in named)
    return [one for one in found if one is not None]
