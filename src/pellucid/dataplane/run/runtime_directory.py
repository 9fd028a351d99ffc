"""Where the supervisors of one machine, or of one user, find each other's fabric."""

from __future__ import annotations

import os
from pathlib import Path


def runtime_directory(*, rootless: bool) -> Path:
    """root: /run/pellucid; others: $XDG_RUNTIME_DIR/pellucid, or a directory of their own in /tmp."""
    if not rootless:
        return Path("/run/pellucid")
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base, "pellucid") if base else Path(f"/tmp/pellucid-{os.getuid()}")  # noqa: S108
