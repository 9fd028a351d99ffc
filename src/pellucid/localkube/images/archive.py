"""Images from archives: what `docker save` writes, or a packed OCI layout.

Source: OCI image specification 1.1, "Image Layout"; Docker image specification 1.2.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from pellucid.localkube.images.compression import DecompressionFailed, decompressed
from pellucid.localkube.images.image import Image
from pellucid.localkube.images.layers import InvalidLayer, layer_directory, unpack_layer
from pellucid.localkube.images.reference import InvalidImageName, parse_reference
from pellucid.localkube.images.stored_images import assembled_image, store_images

_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_UNREADABLE = (
    tarfile.TarError,
    KeyError,
    TypeError,
    json.JSONDecodeError,
    InvalidImageName,
    InvalidLayer,
    *DecompressionFailed,
)


class InvalidArchive(ValueError):
    """The file holds no image that can be loaded; the message says what is wrong with it."""


class _Found(msgspec.Struct, frozen=True):
    """An image in an archive: its names, and the members that hold its configuration and layers."""

    names: tuple[str, ...]
    configuration: str
    layers: tuple[str, ...]


def load_archive(archive: Path, directory: Path) -> tuple[str, ...]:
    """Add the images of an archive to those kept in `directory`; their full names.

    Raises InvalidArchive, OSError; nothing is added then.
    """
    try:
        with tarfile.open(archive) as opened:
            found = _images_in(opened)
            loaded = {
                name: image
                for one in found
                for image in (_unpack(opened, one, directory),)
                for name in one.names
            }
    except _UNREADABLE as problem:
        raise InvalidArchive(f"{archive}: no image archive: {problem}") from problem
    store_images(directory, loaded)
    return tuple(loaded)


def _images_in(archive: tarfile.TarFile) -> list[_Found]:
    members = set(archive.getnames())
    if "manifest.json" in members:
        return [
            _Found(_full(one.get("RepoTags") or ()), one["Config"], tuple(one["Layers"]))
            for one in _json(archive, "manifest.json")
        ]
    if "index.json" not in members:
        raise InvalidArchive("no image archive: it has neither manifest.json nor index.json")
    found = []
    for entry in _json(archive, "index.json")["manifests"]:
        manifest = _json(archive, _blob(entry))
        notes = entry.get("annotations") or {}
        names = [notes[key] for key in _NAME_ANNOTATIONS if key in notes][:1]
        layers = tuple(_blob(layer) for layer in manifest["layers"])
        found.append(_Found(_full(names), _blob(manifest["config"]), layers))
    return found


def _full(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        raise InvalidArchive("an image in it has no name; save it by name")
    return tuple(str(parse_reference(name)) for name in names)


def _blob(descriptor: Mapping[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _json(archive: tarfile.TarFile, member: str) -> Any:
    file = archive.extractfile(member)
    if file is None:
        raise InvalidArchive(f"{member} is no file")
    with file:
        return json.load(file)


def _unpack(archive: tarfile.TarFile, found: _Found, directory: Path) -> Image:
    layers = [_unpack_layer(archive, member, directory / "layers") for member in found.layers]
    return assembled_image(_json(archive, found.configuration), layers, directory)


def _unpack_layer(archive: tarfile.TarFile, member: str, layers: Path) -> Path:
    file = archive.extractfile(member)
    if file is None:
        raise InvalidArchive(f"layer {member} is no file")
    with file:
        digest = hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()
        target = layer_directory(layers, digest)
        file.seek(0)
        with decompressed(file) as layer:
            unpack_layer(layer, target)
    return target
