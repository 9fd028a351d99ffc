"""What an image is to the container runtime."""

from __future__ import annotations

import msgspec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageNotAvailable(Exception):
    """No image of this name can be had here; the message is what a user reads in `ErrImagePull`."""


class ImageNotPresent(ImageNotAvailable):
    """It is not here, but may be elsewhere."""


class Bind(msgspec.Struct, frozen=True):
    """A directory or file of this machine, shown read-only inside the container."""

    source: str
    destination: str


class Image(msgspec.Struct, frozen=True):
    """A root file system and how its program is started.

    `base` is a directory whose files, links and folders make up the root. `layers` maps a folder of that root
    to the directories laid over one another there, lowest last; a folder without layers is laid over its
    namesake in `base`.
    """

    id: str
    base: str
    layers: dict[str, tuple[str, ...]] = {}
    binds: tuple[Bind, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = msgspec.field(default_factory=lambda: {"PATH": DEFAULT_PATH})
    working_directory: str = "/"
    user: str = ""

    @property
    def digest(self) -> str:
        """What a registry called it when it was pulled; empty for one that was not."""
        return self.id.partition("@")[2]
