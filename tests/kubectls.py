"""The kubectls that tests are run with: the newest, pinned beside this interpreter, and the oldest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NEWEST, OLDEST = "newest", "oldest"
_CACHE = Path(__file__).parents[1] / ".cache"


def kubectl(which: str) -> Path:
    """The program; skips the test where the oldest cannot be had, but for continuous integration."""
    if which == NEWEST:
        return Path(sys.executable).with_name("kubectl")
    return _debians()


def _debians() -> Path:
    """The one of Debian's package `kubernetes-client`, unpacked and not installed."""
    program = _CACHE / "kubernetes-client" / "usr" / "bin" / "kubectl"
    if program.exists():
        return program
    if shutil.which("apt-get") is None:
        _unavailable("only Debian has a package with an old kubectl")
    _CACHE.mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "download", "-qq", "kubernetes-client"]
    fetched = subprocess.run(command, cwd=_CACHE, capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        _unavailable(f"cannot fetch Debian's kubernetes-client: {fetched.stderr}")
    (package,) = _CACHE.glob("kubernetes-client_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, _CACHE / "kubernetes-client"], check=True)
    package.unlink()
    return program


def _unavailable(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
