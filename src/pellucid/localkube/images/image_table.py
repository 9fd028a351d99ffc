"""The images a cluster has: loaded or pulled ones, a file of more, and a built-in table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pellucid.localkube.images.built_in import BUILT_IN, BuiltIn
from pellucid.localkube.images.host_root import make_host_root
from pellucid.localkube.images.image import DEFAULT_PATH, Image, ImageNotAvailable, ImageNotPresent
from pellucid.localkube.images.image_entries import ImageEntry, read_image_entries
from pellucid.localkube.images.reference import ImageReference, parse_reference
from pellucid.localkube.images.registries import Pulled, Registries
from pellucid.localkube.images.stored_images import stored_images


class ImageTable:
    """Finds images, and pulls those it does not have. `directory` is where root file systems are kept.

    `more` is the file of further images (see `image_entries`), read again whenever it changes; `trusted`
    are certificate authorities for the images made of this machine's own root (see `make_host_root`).
    """

    def __init__(
        self,
        directory: Path,
        more: Path | None = None,
        trusted: Mapping[str, bytes] | None = None,
        registries: Registries | None = None,
    ) -> None:
        self._registries = registries
        self._directory = directory
        self._base = directory / "host"
        self._layers = make_host_root(self._base, trusted=trusted)
        self._more = more
        self._read: tuple[int, tuple[ImageEntry, ...]] = (0, ())

    def find(self, text: str) -> Image:
        """An image that is here.

        Raises ImageNotPresent, ImageNotAvailable, InvalidImageName, InvalidImageTable.
        """
        reference = parse_reference(text)
        if (loaded := stored_images(self._directory).get(str(reference))) is not None:
            return loaded
        for entry in self._further():
            if entry.named_by(reference):
                return self._image(entry, reference)
        for built_in in BUILT_IN:
            if built_in.entry.named_by(reference):
                return self._built_in(built_in, reference)
        raise ImageNotPresent(
            f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": '
            f"{reference}: not found: this cluster has no such image; load it, or add it to the cluster's "
            "file of images"
        )

    async def pull(self, text: str, secrets: Iterable[Mapping[str, Any]]) -> Pulled:
        """From its registry. Raises InvalidImageName, ImageNotAvailable."""
        if self._registries is None:
            self.find(text)
            raise ImageNotAvailable(f"{text}: this cluster pulls from no registry")
        return await self._registries.pull(parse_reference(text), secrets)

    async def is_current(self, image: Image, text: str, secrets: Iterable[Mapping[str, Any]]) -> bool:
        """Whether an image is still what its name leads to, if that is for a registry to say.

        Raises ImageNotAvailable.
        """
        if not image.digest or self._registries is None:
            return True
        return await self._registries.digest(parse_reference(text), secrets) == image.digest

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
