"""The smallest image that says something: a shell, and what it needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.localkube.images.registry import packed, tar_of


def shell_layer() -> bytes:
    """A root with nothing but a shell."""
    program = shutil.which("dash") or "/bin/sh"
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
    files = {"bin/sh": program, **{word.lstrip("/"): word for word in needed if word.startswith("/")}}
    return tar_of({name: Path(path).read_bytes() for name, path in files.items()})


SHELL = packed(shell_layer(), "gzip")
HELLO = {"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["echo hello from $0"], "Env": ["PATH=/bin"]}
