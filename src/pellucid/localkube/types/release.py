"""Which release of Kubernetes a cluster says it is, and what follows from that.

Source: Kubernetes docs, "Feature Gates" - SidecarContainers is on from 1.29.
"""

from __future__ import annotations

import re

import msgspec

OLDEST, NEWEST = 27, 37
_TEXT = re.compile(r"v?1\.(\d{1,3})(?:\.(\d{1,3}))?")


class InvalidRelease(ValueError):
    """No release that a cluster can be; the message says which there are."""


class Release(msgspec.Struct, frozen=True):
    """`1.<minor>.<patch>`."""

    minor: int = 30
    patch: int = 0

    def __str__(self) -> str:
        return f"v1.{self.minor}.{self.patch}"

    @property
    def native_sidecars(self) -> bool:
        """Whether an init container may go on running beside the others."""
        return self.minor >= 29


DEFAULT = Release()
"""What a cluster says unless told otherwise."""


def parse_release(text: str) -> Release:
    """From `1.29`, `v1.29` or `v1.29.2`. Raises InvalidRelease."""
    matched = _TEXT.fullmatch(text)
    if matched is None:
        raise InvalidRelease(f"{text!r} is no release of Kubernetes; write it as in 1.{NEWEST} or v1.29.2")
    if not OLDEST <= int(matched[1]) <= NEWEST:
        raise InvalidRelease(f"{text!r} is not offered; there are 1.{OLDEST} to 1.{NEWEST}")
    return Release(int(matched[1]), int(matched[2] or 0))
