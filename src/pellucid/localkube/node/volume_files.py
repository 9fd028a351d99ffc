"""The files of configMap, secret, downwardAPI and projected volumes. Pure.

Source: Kubernetes API reference, Volume.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pellucid.localkube.node.environment import (
    PodFacts,
    Sources,
    config_map_data,
    field_value,
    resource_value,
    secret_data,
)

Object = dict[str, Any]
Token = Callable[[Object], bytes]
_DEFAULT_MODE = 0o644


class VolumeError(Exception):
    """A volume cannot be made; the message is the end of `MountVolume.SetUp failed for volume ...`."""


class File(msgspec.Struct, frozen=True):
    """Content and permission bits."""

    content: bytes
    mode: int


def volume_files(
    volume: Object, pod: Object, facts: PodFacts, sources: Sources, token: Token
) -> dict[str, File] | None:
    """Relative path to file; None for a volume that isn't made of files. Raises VolumeError.

    `token` answers a serviceAccountToken projection with a token.
    """
    if "projected" in volume:
        mode = volume["projected"].get("defaultMode", _DEFAULT_MODE)
        files: dict[str, File] = {}
        for source in volume["projected"].get("sources") or ():
            files |= _one_source(source, mode, "name", pod, facts, sources, token)
        return files
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            mode = volume[kind].get("defaultMode", _DEFAULT_MODE)
            name_field = "secretName" if kind == "secret" else "name"
            return _one_source({kind: volume[kind]}, mode, name_field, pod, facts, sources, token)
    return None


def _one_source(
    source: Object,
    mode: int,
    name_field: str,
    pod: Object,
    facts: PodFacts,
    sources: Sources,
    token: Token,
) -> dict[str, File]:
    if "serviceAccountToken" in source:
        projection = source["serviceAccountToken"]
        return {projection["path"]: File(token(projection), mode)}
    if "downwardAPI" in source:
        items = source["downwardAPI"].get("items") or ()
        return {item["path"]: _downward(item, mode, pod, facts) for item in items}
    if "configMap" in source:
        reference = source["configMap"]
        found = sources.config_map(reference["name"])
        data = None if found is None else config_map_data(found)
        return _selected(reference, data, mode, f'configmap "{reference["name"]}" not found')
    if "secret" in source:
        reference = source["secret"]
        found = sources.secret(reference[name_field])
        data = None if found is None else secret_data(found)
        return _selected(reference, data, mode, f'secret "{reference[name_field]}" not found')
    raise VolumeError(f"projected source {next(iter(source), '')} is not supported here")


def _downward(item: Object, mode: int, pod: Object, facts: PodFacts) -> File:
    if "fieldRef" in item:
        text = field_value(item["fieldRef"]["fieldPath"], pod, facts)
    else:
        text = resource_value(item["resourceFieldRef"], pod, {}, facts)
    return File(text.encode(), item.get("mode", mode))


def _selected(
    reference: Object, data: Mapping[str, bytes] | None, mode: int, missing: str
) -> dict[str, File]:
    optional = reference.get("optional", False)
    if data is None:
        if optional:
            return {}
        raise VolumeError(missing)
    if not reference.get("items"):
        return {key: File(content, mode) for key, content in data.items()}
    files = {}
    for item in reference["items"]:
        if item["key"] in data:
            files[item["path"]] = File(data[item["key"]], item.get("mode", mode))
        elif not optional:
            raise VolumeError(f"references non-existent config key: {item['key']}")
    return files
