"""The cgroups of a node's containers, of either version: what the runtime left of them, and what they say.

`name` is a cgroup's path below the root of each hierarchy. Source: Linux kernel documentation, cgroup-v1 and
cgroup-v2.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def ended_for_memory(name: str) -> bool:
    """Whether the kernel ended a process of the cgroup because its memory was used up."""
    for path in (_ROOT / "memory" / name / "memory.oom_control", _ROOT / name / "memory.events"):
        with contextlib.suppress(OSError):
            counts = dict(line.split(maxsplit=1) for line in path.read_text().splitlines())
            return int(counts.get("oom_kill", "0")) > 0
    return False


def kill_members(name: str) -> None:
    """End every process in the cgroup at once."""
    for directory in _directories(name):
        with contextlib.suppress(OSError):
            for pid in (directory / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def remove_cgroup(name: str) -> bool:
    """Remove the cgroup with those directly below it; whether nothing of it is left."""
    for directory in _directories(name):
        with contextlib.suppress(OSError):
            for child in directory.iterdir():
                if child.is_dir():
                    child.rmdir()
        with contextlib.suppress(OSError):
            directory.rmdir()
    return not any(True for _ in _directories(name))


def _directories(name: str) -> Iterator[Path]:
    for directory in (*_ROOT.glob(f"*/{name}"), _ROOT / name):
        if directory.is_dir():
            yield directory
