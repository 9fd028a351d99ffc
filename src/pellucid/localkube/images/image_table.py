"""The images a cluster has: those loaded from archives, a file of more, and a built-in table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pellucid.localkube.images.archive import loaded_images
from pellucid.localkube.images.built_in import BUILT_IN, BuiltIn
from pellucid.localkube.images.host_root import make_host_root
from pellucid.localkube.images.image import DEFAULT_PATH, Image, ImageNotAvailable
from pellucid.localkube.images.image_entries import ImageEntry, read_image_entries
from pellucid.localkube.images.reference import ImageReference, parse_reference


class ImageTable:
    """Finds images. `directory` is where root file systems are kept.

    `more` is the file of further images (see `image_entries`), read again whenever it changes; `trusted`
    are certificate authorities for the images made of this machine's own root (see `make_host_root`).
    """

    def __init__(
        self, directory: Path, more: Path | None = None, trusted: Mapping[str, bytes] | None = None
    ) -> None:
        self._directory = directory
        self._base = directory / "host"
        self._layers = make_host_root(self._base, trusted=trusted)
        self._more = more
        self._read: tuple[int, tuple[ImageEntry, ...]] = (0, ())

    def find(self, text: str) -> Image:
        """Raises InvalidImageName, InvalidImageTable, ImageNotAvailable."""
        reference = parse_reference(text)
        if (loaded := loaded_images(self._directory).get(str(reference))) is not None:
            return loaded
        for entry in self._further():
            if entry.named_by(reference):
                return self._image(entry, reference)
        for built_in in BUILT_IN:
            if built_in.entry.named_by(reference):
                return self._built_in(built_in, reference)
        raise ImageNotAvailable(
            f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": '
            f"{reference}: not found: this cluster has no such image and pulls from no registry; "
            f"load it, or add it to the cluster's file of images"
        )

    def _built_in(self, found: BuiltIn, reference: ImageReference) -> Image:
        if found.lacks():
            raise ImageNotAvailable(
                f'failed to unpack image "{reference}": it is made from {found.program}, which this '
                f"machine does not have; install Debian's {found.package}"
            )
        return self._image(found.entry, reference)

    def _image(self, entry: ImageEntry, reference: ImageReference) -> Image:
        if gone := [bind.source for bind in entry.binds if not Path(bind.source).exists()]:
            raise ImageNotAvailable(
                f'failed to unpack image "{reference}": {", ".join(gone)}: not on this machine, though the '
                f"cluster's file of images says so; load the file again"
            )
        return Image(
            id="sha256:" + hashlib.sha256(msgspec.json.encode(entry, order="sorted")).hexdigest(),
            base=str(self._base),
            layers=self._layers,
            binds=entry.binds,
            entrypoint=entry.entrypoint,
            command=entry.command,
            environment={"PATH": DEFAULT_PATH, **entry.environment},
            working_directory=entry.working_dir,
            user=entry.user,
        )

    def _further(self) -> tuple[ImageEntry, ...]:
        if self._more is None or not self._more.exists():
            return ()
        changed = self._more.stat().st_mtime_ns
        if changed != self._read[0]:
            self._read = (changed, read_image_entries(self._more))
        return self._read[1]
