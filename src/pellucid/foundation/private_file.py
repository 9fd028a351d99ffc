"""Files that only their owner can read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(file: Path, content: bytes) -> None:
    """Make or replace `file` with mode 0600; a reader sees the old or the new content. Raises OSError."""
    # A name that nobody can foresee, made by us: so nobody's link is followed and no two writers meet.
    descriptor, unfinished = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(unfinished, file)
    except BaseException:
        os.unlink(unfinished)
        raise
