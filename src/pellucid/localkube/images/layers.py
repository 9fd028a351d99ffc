"""Layers of images, each unpacked once, with deletions in the form that overlay file systems read.

Source: OCI image specification 1.1, "Layer"; kernel docs, "Overlay Filesystem" - whiteouts and opaque
directories.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

_DELETED, _OPAQUE = ".wh.", ".wh..wh..opq"
_MOST_BYTES = 32 << 30
_MOST_ENTRIES = 1_000_000


class InvalidLayer(ValueError):
    """The layer cannot be unpacked; the message says why."""


def layer_directory(layers: Path, digest: str) -> Path:
    """Where a layer is kept; `digest` is hexadecimal. Short, for a mount names every one in one page."""
    return layers / digest[:16]


def unpack_layer(layer: IO[bytes], target: Path) -> None:
    """Unpack a tar that is not compressed, read once from its start, unless `target` is there already.

    Raises InvalidLayer, tarfile.TarError, OSError; then `target` is not made.
    """
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        fresh.chmod(0o755)
        unpacked = 0
        with tarfile.open(fileobj=layer, mode="r|") as archive:
            for number, entry in enumerate(archive):
                unpacked += entry.size
                if unpacked > _MOST_BYTES or number > _MOST_ENTRIES:
                    raise InvalidLayer(
                        f"a layer unpacks to more than {_MOST_BYTES >> 30} GiB or too many files"
                    )
                _unpack_entry(archive, entry, fresh)
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if target.exists():  # somebody else was faster with the same layer
            return
        raise


def _unpack_entry(archive: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    path = Path(entry.name)
    if not path.name.startswith(_DELETED):
        archive.extract(entry, target, numeric_owner=True, filter=_as_packed)
        return
    parent = (target / path.parent).resolve()
    if not parent.is_relative_to(target.resolve()):
        raise InvalidLayer(f"{entry.name} leads outside the image")
    parent.mkdir(parents=True, exist_ok=True)
    if path.name == _OPAQUE:
        os.setxattr(parent, "trusted.overlay.opaque", b"y")
    else:
        os.mknod(parent / path.name.removeprefix(_DELETED), stat.S_IFCHR, os.makedev(0, 0))


def _as_packed(entry: tarfile.TarInfo, target: str) -> tarfile.TarInfo:
    """Nothing outside the target; but with every permission it has, as programs for another user need."""
    return tarfile.tar_filter(entry, target).replace(mode=entry.mode & 0o7777, deep=False)


def merge_layers(layers: Sequence[Path], base: Path) -> dict[str, tuple[str, ...]]:
    """Write the root's own files and links to `base`; of each of its folders, the layers it is in.

    A `base` that is there already stays as it is, for containers may stand on it.
    """
    base.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=base.parent))
    try:
        fresh.chmod(0o755)
        folders = _merge(layers, fresh)
        if not base.exists():
            fresh.rename(base)
        return folders
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _merge(layers: Sequence[Path], base: Path) -> dict[str, tuple[str, ...]]:
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
    return folders
