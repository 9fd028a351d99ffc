"""From a pod's specification to one container's runtime settings. Pure but for reading the image's users."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from pellucid.localkube.images.image import Image
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
    user, group = _user_and_group(image, context)
    if context.get("runAsNonRoot") and user == 0:
        place = (
            f'(pod: "{pod["metadata"]["name"]}_{pod["metadata"]["namespace"]}({pod["metadata"]["uid"]})", '
        )
        place += f"container: {container['name']})"
        reason = "container's runAsUser breaks non-root policy" if "runAsUser" in context else (
            "container has runAsNonRoot and image will run as root"
        )  # fmt: skip
        raise ConfigurationError(f"{reason} {place}")
    arguments = command_line(container, image.entrypoint, image.command, environment)
    if not arguments:
        raise ConfigurationError("no command specified")
    groups = [*of_pod.get("supplementalGroups", ()), *([of_pod["fsGroup"]] if "fsGroup" in of_pod else ())]
    capabilities = own.get("capabilities") or {}
    limits = (container.get("resources") or {}).get("limits") or {}
    requests = (container.get("resources") or {}).get("requests") or limits
    return ContainerSettings(
        image=image,
        arguments=arguments,
        environment=environment,
        working_directory=container.get("workingDir") or image.working_directory or "/",
        user=user,
        group=group,
        supplemental_groups=tuple(groups),
        capabilities_added=tuple(capabilities.get("add") or ()),
        capabilities_dropped=tuple(capabilities.get("drop") or ()),
        privileged=bool(own.get("privileged")),
        allow_privilege_escalation=own.get("allowPrivilegeEscalation", True),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        terminal=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        mounts=mounts,
        memory_limit=quantity_in(str(limits["memory"]), "1") if "memory" in limits else 0,
        cpu_limit=quantity_in(str(limits["cpu"]), "1m") if "cpu" in limits else 0,
        cpu_request=quantity_in(str(requests["cpu"]), "1m") if "cpu" in requests else 0,
    )


def _user_and_group(image: Image, context: Object) -> tuple[int, int]:
    name, _, group_name = image.user.partition(":")
    user, group = _known_user(image, name)
    if group_name.isdigit():
        group = int(group_name)
    if "runAsUser" in context:
        user = context["runAsUser"]
        group = _known_user(image, str(user))[1]
    return user, context.get("runAsGroup", group)


def _known_user(image: Image, name: str) -> tuple[int, int]:
    with contextlib.suppress(OSError):
        for line in (Path(image.base) / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if len(fields) > 3 and name in (fields[0], fields[2]):
                return int(fields[2]), int(fields[3])
    if name.isdigit():
        return int(name), 0
    if name:
        raise ConfigurationError(f"unable to find user {name}: no matching entries in passwd file")
    return 0, 0
