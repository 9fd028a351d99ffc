"""The images a cluster keeps: loaded from archives or pulled from registries, by their full names.

Written by the cluster's server and by commands beside it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pellucid.localkube.images.image import DEFAULT_PATH, Image
from pellucid.localkube.images.layers import merge_layers

_RECORDS = "loaded.json"


def stored_images(directory: Path) -> dict[str, Image]:
    """Full name to image, of every image kept in `directory`."""
    try:
        return msgspec.json.decode((directory / _RECORDS).read_bytes(), type=dict[str, Image])
    except FileNotFoundError:
        return {}


def store_images(directory: Path, images: Mapping[str, Image]) -> None:
    """Keep images too, in the place of those of the same names."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        temporary = directory / f"{_RECORDS}.new"
        temporary.write_bytes(msgspec.json.encode({**stored_images(directory), **images}))
        temporary.replace(directory / _RECORDS)
    finally:
        os.close(descriptor)


def assembled_image(
    configuration: Mapping[str, Any], layers: Sequence[Path], directory: Path, id: str = ""
) -> Image:
    """An image of its configuration and its unpacked layers, lowest first.

    id: by default, a digest of all of it. Source: OCI image specification 1.1, "Image Configuration".
    """
    content = "\0".join((json.dumps(configuration), *map(str, layers)))
    digest = hashlib.sha256(content.encode()).hexdigest()
    base = directory / "bases" / digest[:16]
    folders = merge_layers(layers, base)
    settings = configuration.get("config") or {}
    variables = dict(one.partition("=")[::2] for one in settings.get("Env") or ())
    return Image(
        id=id or f"sha256:{digest}",
        base=str(base),
        layers=folders,
        entrypoint=tuple(settings.get("Entrypoint") or ()),
        command=tuple(settings.get("Cmd") or ()),
        environment={"PATH": DEFAULT_PATH, **variables},
        working_directory=settings.get("WorkingDir") or "/",
        user=settings.get("User") or "",
    )
