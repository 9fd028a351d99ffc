"""Makes and refreshes the volumes of one pod from what they refer to."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from pellucid.localkube.node.environment import PodFacts, Sources
from pellucid.localkube.node.node_parts import NodeParts
from pellucid.localkube.node.volume_files import VolumeError, volume_files
from pellucid.localkube.node.volumes import host_path, make_empty, write_files
from pellucid.localkube.types.kinds import (
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    SECRETS,
)

Object = dict[str, Any]


def pod_sources(parts: NodeParts, namespace: str) -> Sources:
    """ConfigMaps and Secrets of a namespace, as they are now."""
    return Sources(
        lambda name: parts.resources.peek(CONFIG_MAPS, namespace, name),
        lambda name: parts.resources.peek(SECRETS, namespace, name),
    )


async def make_volumes(parts: NodeParts, pod: Object, facts: PodFacts, directory: Path) -> dict[str, Path]:
    """Volume name to the directory or file that holds it; called again, files are brought up to date.

    Raises VolumeError naming the volume.
    """
    volumes = {}
    for volume in pod["spec"].get("volumes") or ():
        try:
            volumes[volume["name"]] = await _one(parts, pod, facts, volume, directory / volume["name"])
        except (VolumeError, OSError) as problem:
            said = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {problem}'
            raise VolumeError(said) from problem
    return volumes


async def _one(parts: NodeParts, pod: Object, facts: PodFacts, volume: Object, place: Path) -> Path:
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    if "emptyDir" in volume:
        await asyncio.to_thread(make_empty, place, group)
        return place
    if "hostPath" in volume:
        return await asyncio.to_thread(host_path, volume["hostPath"])
    if "persistentVolumeClaim" in volume:
        return _claimed(parts, pod, volume["persistentVolumeClaim"]["claimName"], group)
    tokens = {
        _token_key(projection): (await parts.issue_token(pod, projection)).encode()
        for projection in _token_projections(volume)
    }
    sources = pod_sources(parts, pod["metadata"]["namespace"])
    files = volume_files(volume, pod, facts, sources, lambda projection: tokens[_token_key(projection)])
    if files is None:
        kind = next((key for key in volume if key != "name"), "nothing")
        raise VolumeError(f"volumes of kind {kind} are not supported here")
    await asyncio.to_thread(write_files, place, files, group)
    return place


def _token_projections(volume: Object) -> list[Object]:
    sources = volume.get("projected", {}).get("sources") or ()
    return [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]


def _token_key(projection: Object) -> tuple[str, str]:
    return projection.get("audience", ""), projection["path"]


def _claimed(parts: NodeParts, pod: Object, name: str, group: int | None) -> Path:
    claim = parts.resources.peek(PERSISTENT_VOLUME_CLAIMS, pod["metadata"]["namespace"], name)
    if claim is None:
        raise VolumeError(f'persistentvolumeclaim "{name}" not found')
    bound = parts.resources.peek(PERSISTENT_VOLUMES, "", claim["spec"].get("volumeName") or "-")
    if bound is None:
        raise VolumeError(f'persistentvolumeclaim "{name}" is not bound')
    source = bound["spec"].get("hostPath") or bound["spec"].get("local")
    if source is None:
        raise VolumeError(f'persistent volume "{bound["metadata"]["name"]}" is not on this machine')
    path = Path(source["path"])
    make_empty(path, group)
    return path


def remove_volumes(directory: Path) -> None:
    """Everything of a pod that is in its own directory."""
    shutil.rmtree(directory, ignore_errors=True)
