"""Who an image's program runs as: names of its user files as numbers.

Source: OCI image specification 1.1, "User"; passwd(5), group(5).
"""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec

from pellucid.localkube.images.image import Image

_MOST_BYTES = 1 << 20


class UnknownUser(ValueError):
    """The image has no such user or group; the message is the container runtime's."""


class ImageUser(msgspec.Struct, frozen=True):
    """A user, its group, and the further groups that the image puts it in."""

    user: int = 0
    group: int = 0
    further: tuple[int, ...] = ()


def image_user(image: Image, text: str) -> ImageUser:
    """From `user`, `user:group`, each a name or a number; empty is root. Raises UnknownUser."""
    name, _, group_name = text.partition(":")
    users, groups = _entries(image, "passwd"), _entries(image, "group")
    found = next((one for one in users if (name or "0") in (one[0], one[2])), None)
    if found is None and not (name or "0").isdigit():
        raise UnknownUser(f"unable to find user {name}: no matching entries in passwd file")
    user = int(found[2]) if found else int(name or "0")
    if group_name:
        return ImageUser(user, _group(groups, group_name))
    group = int(found[3]) if found and len(found) > 3 and found[3].isdigit() else 0
    own = found[0] if found else ""
    further = {int(one[2]) for one in groups if len(one) > 3 and own in one[3].split(",") and own}
    return ImageUser(user, group, tuple(sorted(further - {group})))


def _group(groups: list[list[str]], name: str) -> int:
    if name.isdigit():
        return int(name)
    for one in groups:
        if one[0] == name:
            return int(one[2])
    raise UnknownUser(f"unable to find group {name}: no matching entries in group file")


def _entries(image: Image, name: str) -> list[list[str]]:
    """The fields of each line that has a number where it should; links are not followed."""
    for place in reversed(image.layers.get("etc") or (str(Path(image.base, "etc")),)):
        file = Path(place, name)
        try:
            if stat.S_ISREG(file.lstat().st_mode):
                text = file.read_bytes()[:_MOST_BYTES].decode(errors="replace")
                fields = (line.split(":") for line in text.splitlines())
                return [one for one in fields if len(one) > 2 and one[2].isdigit()]
        except OSError:
            continue
        return []
    return []
