"""From a pod's specification to one container's runtime settings. Pure but for reading the image's users."""

from __future__ import annotations

from typing import Any

import msgspec

from pellucid.localkube.images.image import Image
from pellucid.localkube.images.users import ImageUser, UnknownUser, image_user
from pellucid.localkube.node.environment import ConfigurationError, command_line
from pellucid.localkube.node.oci_config import ContainerSettings, Mount
from pellucid.localkube.node.quantities import quantity_in

Object = dict[str, Any]


def container_settings(
    pod: Object, container: Object, image: Image, environment: dict[str, str], mounts: tuple[Mount, ...]
) -> ContainerSettings:
    """Raises ConfigurationError."""
    of_pod = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    context = {**of_pod, **own}
    runs_as = _user(image, context)
    if context.get("runAsNonRoot") and (reason := _maybe_root(image, context, runs_as.user)):
        place = (
            f'(pod: "{pod["metadata"]["name"]}_{pod["metadata"]["namespace"]}({pod["metadata"]["uid"]})", '
        )
        place += f"container: {container['name']})"
        raise ConfigurationError(f"{reason} {place}")
    arguments = command_line(container, image.entrypoint, image.command, environment)
    if not arguments:
        raise ConfigurationError("no command specified")
    groups = [*runs_as.further, *of_pod.get("supplementalGroups", ())]
    groups += [of_pod["fsGroup"]] if "fsGroup" in of_pod else []
    capabilities = own.get("capabilities") or {}
    limits = (container.get("resources") or {}).get("limits") or {}
    requests = (container.get("resources") or {}).get("requests") or limits
    return ContainerSettings(
        image=image,
        arguments=arguments,
        environment=environment,
        working_directory=container.get("workingDir") or image.working_directory or "/",
        user=runs_as.user,
        group=runs_as.group,
        supplemental_groups=tuple(groups),
        capabilities_added=tuple(capabilities.get("add") or ()),
        capabilities_dropped=tuple(capabilities.get("drop") or ()),
        privileged=bool(own.get("privileged")),
        allow_privilege_escalation=own.get("allowPrivilegeEscalation", True),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        terminal=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        mounts=mounts,
        sysctls={one["name"]: str(one["value"]) for one in of_pod.get("sysctls") or ()},
        memory_limit=quantity_in(str(limits["memory"]), "1") if "memory" in limits else 0,
        cpu_limit=quantity_in(str(limits["cpu"]), "1m") if "cpu" in limits else 0,
        cpu_request=quantity_in(str(requests["cpu"]), "1m") if "cpu" in requests else 0,
    )


def _user(image: Image, context: Object) -> ImageUser:
    try:
        found = image_user(image, str(context["runAsUser"]) if "runAsUser" in context else image.user)
    except UnknownUser as problem:
        raise ConfigurationError(str(problem)) from None
    return msgspec.structs.replace(found, group=context.get("runAsGroup", found.group))


def _maybe_root(image: Image, context: Object, user: int) -> str:
    """Why it is not sure that the container does not run as root; empty when it is."""
    name = image.user.partition(":")[0]
    if "runAsUser" in context:
        return "" if user else "container's runAsUser breaks non-root policy"
    if name and not name.isdigit():
        unsure = f"image has non-numeric user ({name}), cannot verify user is non-root"
        return f"container has runAsNonRoot and {unsure}"
    return "" if user else "container has runAsNonRoot and image will run as root"
