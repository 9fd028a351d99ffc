"""Which user name and password a registry is given, from the secrets that a pod names.

Source: Kubernetes docs, "Pull an Image from a Private Registry"; the Docker command line's configuration
file.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pellucid.localkube.images.reference import ImageReference

_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


class PullCredentials(msgspec.Struct, frozen=True):
    """A user of a registry. Never shown."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"PullCredentials(user={self.user!r})"

    def basic(self) -> str:
        """For an `Authorization` header. Source: RFC 7617."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def credentials_for(
    reference: ImageReference, secrets: Iterable[Mapping[str, Any]]
) -> PullCredentials | None:
    """Those of the longest entry that the image's name begins with; of equals the first one's."""
    place = f"{reference.registry}/{reference.repository}"
    best: tuple[int, PullCredentials | None] = (-1, None)
    for secret in secrets:
        for name, entry in _entries(secret).items():
            where = _place_of(name)
            if (place == where or place.startswith(f"{where}/")) and len(where) > best[0]:
                best = (len(where), _credentials(entry))
    return best[1]


def _entries(secret: Mapping[str, Any]) -> Mapping[str, Any]:
    data = secret.get("data") or {}
    key, inner = {
        "kubernetes.io/dockerconfigjson": (".dockerconfigjson", True),
        "kubernetes.io/dockercfg": (".dockercfg", False),
    }.get(str(secret.get("type")), ("", False))
    try:
        document = json.loads(base64.b64decode(data.get(key, "")))
        entries = document.get("auths") if inner else document
    except (ValueError, binascii.Error, AttributeError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _place_of(name: str) -> str:
    """`https://index.docker.io/v1/` is `docker.io`; a path below a registry stays."""
    place = name.partition("://")[2] or name
    host, _, path = place.partition("/")
    if host in _DOCKER_HUB:
        host = "docker.io"
    path = "" if path.rstrip("/") in ("v1", "v2") else path.rstrip("/")
    return f"{host}/{path}" if path else host


def _credentials(entry: Any) -> PullCredentials | None:
    if not isinstance(entry, dict):
        return None
    user, password = entry.get("username"), entry.get("password")
    if not user and entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (ValueError, binascii.Error):
            return None
    return PullCredentials(str(user), str(password or "")) if user else None
