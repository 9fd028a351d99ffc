"""Further images of a cluster, as a file lists them: a name, a command, and files of this machine to show.

The file is JSON, a list of objects:
    {"name": "example/app", "entrypoint": ["app"], "command": [], "environment": {"A": "b"},
     "workingDir": "/", "user": "101", "binds": [{"source": "/opt/app", "destination": "/opt/app"}]}
`name` is a repository, or its last component, with or without a tag. Such an image stands on this machine's
own programs; what `binds` name is shown in it, read-only.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from pellucid.localkube.images.image import Bind
from pellucid.localkube.images.reference import ImageReference, InvalidImageName, parse_reference


class InvalidImageTable(ValueError):
    """The file of images cannot be read; the message names file and field."""


class ImageEntry(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One image of the table."""

    name: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    working_dir: str = "/"
    user: str = ""
    binds: tuple[Bind, ...] = ()

    def named_by(self, reference: ImageReference) -> bool:
        """Whether a reference means this image; one without a tag is meant by every tag."""
        path, colon, tag = self.name.rpartition(":")
        if not colon or "/" in tag:
            path, tag = self.name, ""
        spellings = {
            reference.last_component,
            reference.repository,
            reference.repository.removeprefix("library/"),
            f"{reference.registry}/{reference.repository}",
        }
        return path in spellings and tag in ("", reference.tag)


def read_image_entries(path: Path) -> tuple[ImageEntry, ...]:
    """Raises InvalidImageTable."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=tuple[ImageEntry, ...])
    except OSError as error:
        raise InvalidImageTable(f"{path}: {error.strerror}") from None
    except msgspec.MsgspecError as mistake:
        raise InvalidImageTable(f"{path}: {mistake}") from None
    for number, entry in enumerate(entries):
        if problem := _problem_of(entry):
            raise InvalidImageTable(f"{path}: $[{number}]{problem}")
    return entries


def write_image_entries(path: Path, entries: Iterable[ImageEntry]) -> None:
    """Replace the file as a whole."""
    partial = path.with_name(f".{path.name}.new")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(tuple(entries)), indent=2))
    partial.replace(path)


def joined(older: Iterable[ImageEntry], newer: Iterable[ImageEntry]) -> tuple[ImageEntry, ...]:
    """Both; of two with the same name the newer one, which is also the first to be looked at."""
    added = {entry.name: entry for entry in newer}
    return (*added.values(), *(entry for entry in older if entry.name not in added))


def _problem_of(entry: ImageEntry) -> str:
    try:
        parse_reference(entry.name)
    except InvalidImageName:
        return f".name: {entry.name!r} is no image name"
    if not entry.entrypoint + entry.command:
        return f": {entry.name!r} has neither `entrypoint` nor `command`"
    for number, bind in enumerate(entry.binds):
        for field, value in (("source", bind.source), ("destination", bind.destination)):
            if not value.startswith("/") or ".." in value.split("/"):
                return f".binds[{number}].{field}: {value!r} is no absolute path"
    return ""
