"""Makes the volumes of one pod from what they refer to, and keeps them up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pellucid.localkube.node.environment import PodFacts, Sources
from pellucid.localkube.node.memory_volumes import make_memory_volume, release_memory_volume
from pellucid.localkube.node.node_parts import NodeParts
from pellucid.localkube.node.quantities import quantity_in
from pellucid.localkube.node.volume_files import File, VolumeError, volume_files
from pellucid.localkube.node.volumes import host_path, make_empty, write_files
from pellucid.localkube.types.kinds import (
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    SECRETS,
)

Object = dict[str, Any]
_TOKEN_SECONDS = 3600
_RENEWED_AFTER = 0.8
_LONGEST_USE = timedelta(hours=24)


class _Token(msgspec.Struct, frozen=True):
    content: str
    renewed_at: datetime


def pod_sources(parts: NodeParts, namespace: str) -> Sources:
    """ConfigMaps and Secrets of a namespace, as they are now."""
    return Sources(
        lambda name: parts.resources.peek(CONFIG_MAPS, namespace, name),
        lambda name: parts.resources.peek(SECRETS, namespace, name),
    )


def refers_to(pod: Object, kind: str, name: str) -> bool:
    """Whether something of a pod comes from the ConfigMap or Secret (`kind`) of that name."""
    fields = ("configMap", "name") if kind == "ConfigMap" else ("secret", "secretName")
    of_volumes = any(
        source.get(fields[0], {}).get(field) == name
        for source in _sources(pod)
        for field in ("name", fields[1])
    )
    return of_volumes or any(name in _named_by(container, kind) for container in _containers(pod))


def _sources(pod: Object) -> Iterator[Object]:
    for volume in pod["spec"].get("volumes") or ():
        yield volume
        yield from (volume.get("projected") or {}).get("sources") or ()


def _containers(pod: Object) -> tuple[Object, ...]:
    return (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))


def _named_by(container: Object, kind: str) -> set[str]:
    prefix = "configMap" if kind == "ConfigMap" else "secret"
    whole = (one.get(f"{prefix}Ref") or {} for one in container.get("envFrom") or ())
    keys = ((one.get("valueFrom") or {}).get(f"{prefix}KeyRef") or {} for one in container.get("env") or ())
    return {reference.get("name", "") for reference in (*whole, *keys)}


class PodVolumes:
    """The volumes of one pod, under `directory`."""

    def __init__(self, parts: NodeParts, directory: Path) -> None:
        self._parts = parts
        self._directory = directory
        self._tokens: dict[tuple[str, str], _Token] = {}
        self._written: dict[Path, Mapping[str, File]] = {}
        """What the volumes with files of ours hold: a pod is looked at often, and they seldom change."""
        self._made: set[Path] = set()
        """Empty volumes, which are the containers' own from then on."""
        self._in_memory: set[Path] = set()

    @property
    def renewed_at(self) -> datetime | None:
        """When the next token is to be renewed."""
        return min((token.renewed_at for token in self._tokens.values()), default=None)

    async def refresh(self, pod: Object, facts: PodFacts) -> dict[str, Path]:
        """Volume name to the directory or file that holds it; called again, files are brought up to date.

        Raises VolumeError naming the volume.
        """
        volumes = {}
        for volume in pod["spec"].get("volumes") or ():
            try:
                volumes[volume["name"]] = await self._one(pod, facts, volume)
            except (VolumeError, OSError) as problem:
                said = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {problem}'
                raise VolumeError(said) from problem
        return volumes

    def release(self) -> None:
        """Give back what is mounted. Call it when no container uses the volumes any more."""
        for place in self._in_memory:
            release_memory_volume(place)
        self._in_memory.clear()

    async def _one(self, pod: Object, facts: PodFacts, volume: Object) -> Path:
        place = self._directory / str(volume["name"])
        group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
        if "emptyDir" in volume:
            await self._empty(volume["emptyDir"], place, group)
            return place
        if "hostPath" in volume:
            return await asyncio.to_thread(host_path, volume["hostPath"])
        if "persistentVolumeClaim" in volume:
            return _claimed(self._parts, pod, volume["persistentVolumeClaim"]["claimName"], group)
        tokens = {
            _token_key(projection): (await self._token(pod, projection)).encode()
            for projection in _token_projections(volume)
        }
        sources = pod_sources(self._parts, pod["metadata"]["namespace"])
        files = volume_files(volume, pod, facts, sources, lambda projection: tokens[_token_key(projection)])
        if files is None:
            kind = next((key for key in volume if key != "name"), "nothing")
            raise VolumeError(f"volumes of kind {kind} are not supported here")
        if self._written.get(place) != files:
            await asyncio.to_thread(write_files, place, files, group)
            self._written[place] = files
        return place

    async def _empty(self, source: Object, place: Path, group: int | None) -> None:
        if place in self._made:
            return
        if source.get("medium") == "Memory" and place not in self._in_memory:
            size = quantity_in(str(source["sizeLimit"]), "1") if "sizeLimit" in source else 0
            await asyncio.to_thread(make_memory_volume, place, size)
            self._in_memory.add(place)
        await asyncio.to_thread(make_empty, place, group)
        self._made.add(place)

    async def _token(self, pod: Object, projection: Object) -> str:
        """The token in use, or a new one when four fifths of its life, or a day, are over."""
        key, now = _token_key(projection), self._parts.now()
        known = self._tokens.get(key)
        if known is None or known.renewed_at <= now:
            seconds = int(projection.get("expirationSeconds", _TOKEN_SECONDS))
            used = min(timedelta(seconds=seconds * _RENEWED_AFTER), _LONGEST_USE)
            known = _Token(await self._parts.issue_token(pod, projection), now + used)
            self._tokens[key] = known
        return known.content


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
