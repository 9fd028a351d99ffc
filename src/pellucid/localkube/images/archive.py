"""Images from archives: what `docker save` writes, or a packed OCI layout.

Each layer is unpacked once, by its digest, with deletions in the form that overlay file systems read; images
only list their layers. Source: OCI image specification 1.1, "Layer"; Docker image specification 1.2.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pellucid.localkube.images.image import DEFAULT_PATH, Image
from pellucid.localkube.images.reference import InvalidImageName, parse_reference

_DELETED, _OPAQUE = ".wh.", ".wh..wh..opq"
_RECORDS = "loaded.json"
_NAME_ANNOTATIONS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


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
    except (tarfile.TarError, KeyError, TypeError, json.JSONDecodeError, InvalidImageName) as problem:
        raise InvalidArchive(f"{archive}: no image archive: {problem}") from problem
    records = {**loaded_images(directory), **loaded}
    temporary = directory / f"{_RECORDS}.new"
    temporary.write_bytes(msgspec.json.encode(records))
    temporary.replace(directory / _RECORDS)
    return tuple(loaded)


def loaded_images(directory: Path) -> dict[str, Image]:
    """Full name to image, of every image loaded into `directory`."""
    try:
        return msgspec.json.decode((directory / _RECORDS).read_bytes(), type=dict[str, Image])
    except FileNotFoundError:
        return {}


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
    document = _json(archive, found.configuration)
    layers = [_unpack_layer(archive, member, directory / "layers") for member in found.layers]
    digest = hashlib.sha256("\0".join((json.dumps(document), *map(str, layers))).encode()).hexdigest()
    base, folders = _merge(layers, directory / "bases" / digest[:16])
    settings = document.get("config") or {}
    variables = dict(one.partition("=")[::2] for one in settings.get("Env") or ())
    return Image(
        id=f"sha256:{digest}",
        base=str(base),
        layers=folders,
        entrypoint=tuple(settings.get("Entrypoint") or ()),
        command=tuple(settings.get("Cmd") or ()),
        environment={"PATH": DEFAULT_PATH, **variables},
        working_directory=settings.get("WorkingDir") or "/",
        user=settings.get("User") or "",
    )


def _unpack_layer(archive: tarfile.TarFile, member: str, layers: Path) -> Path:
    file = archive.extractfile(member)
    if file is None:
        raise InvalidArchive(f"layer {member} is no file")
    layers.mkdir(parents=True, exist_ok=True)
    with file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
        target = layers / digest.hexdigest()[:16]
        if target.exists():
            return target
        file.seek(0)
        fresh = Path(tempfile.mkdtemp(dir=layers))
        try:
            fresh.chmod(0o755)
            with tarfile.open(fileobj=file) as layer:
                for entry in layer:
                    _unpack_entry(layer, entry, fresh)
            fresh.rename(target)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    return target


def _unpack_entry(layer: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    path = Path(entry.name)
    if not path.name.startswith(_DELETED):
        layer.extract(entry, target, numeric_owner=True, filter="tar")
        return
    parent = (target / path.parent).resolve()
    if not parent.is_relative_to(target.resolve()):
        raise InvalidArchive(f"{entry.name} leads outside the image")
    parent.mkdir(parents=True, exist_ok=True)
    if path.name == _OPAQUE:
        os.setxattr(parent, "trusted.overlay.opaque", b"y")
    else:
        os.mknod(parent / path.name.removeprefix(_DELETED), stat.S_IFCHR, os.makedev(0, 0))


def _merge(layers: Sequence[Path], base: Path) -> tuple[Path, dict[str, tuple[str, ...]]]:
    """The root's own files and links, and for each of its folders the layers that have a part in it."""
    if base.exists():
        shutil.rmtree(base)
    base.mkdir(parents=True)
    folders: dict[str, tuple[str, ...]] = {}
    for layer in layers:
        for entry in layer.iterdir():
            place = base / entry.name
            if entry.is_dir() and not entry.is_symlink():
                if place.is_symlink() or place.is_file():
                    place.unlink()
                place.mkdir(exist_ok=True)
                shutil.copystat(entry, place)
                folders[entry.name] = (*folders.get(entry.name, ()), str(entry))
                continue
            folders.pop(entry.name, None)
            if place.is_dir() and not place.is_symlink():
                place.rmdir()
            place.unlink(missing_ok=True)
            if entry.is_symlink():
                place.symlink_to(os.readlink(entry))
            elif entry.is_file():
                shutil.copy2(entry, place)
    return base, folders
