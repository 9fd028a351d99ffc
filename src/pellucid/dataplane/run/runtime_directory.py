"""Where the supervisors of one machine, or of one user, find each other's fabric."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "PELLUCID_RUNTIME_DIRECTORY"


def runtime_directory(environment: Mapping[str, str], *, rootless: bool) -> Path:
    """The directory that the environment names; workloads with different ones cannot reach each other.

    Else /run/pellucid for root, and for others $XDG_RUNTIME_DIR/pellucid or one of their own in /tmp.
    """
    if named := environment.get(VARIABLE):
        return Path(named)
    if not rootless:
        return Path("/run/pellucid")
    base = environment.get("XDG_RUNTIME_DIR")
    return Path(base, "pellucid") if base else Path(f"/tmp/pellucid-{os.getuid()}")  # noqa: S108
