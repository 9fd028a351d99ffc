"""Writing a secret where only its owner can read it."""

from __future__ import annotations

import os


def write_secret(file: str, secret: str) -> None:
    """Make or replace `file` with mode 0600; a reader sees the old or the new content. Raises OSError."""
    unfinished = f"{file}.new"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(secret + "\n")
    os.replace(unfinished, file)
