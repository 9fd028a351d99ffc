"""A container's image, by its pull policy: one that is here, or one that is pulled; and what users are told.

Source: Kubernetes docs, "Images" - image pull policy; the kubelet's events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pellucid.localkube.api.store import Resources
from pellucid.localkube.images.image import Image, ImageNotAvailable, ImageNotPresent
from pellucid.localkube.images.image_table import ImageTable
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


def _pull_secrets(resources: Resources, pod: Object) -> list[Mapping[str, Any]]:
    namespace = pod["metadata"]["namespace"]
    named = [one.get("name", "") for one in pod["spec"].get("imagePullSecrets") or ()]
    found = (resources.peek(SECRETS, namespace, name) for name in named)
    return [one for one in found if one is not None]
