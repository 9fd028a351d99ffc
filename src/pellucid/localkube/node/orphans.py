"""Takes leave of processes that lost their parent and ended: this process inherits them all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Set
from pathlib import Path


def reap_orphans(seen: Set[int]) -> frozenset[int]:
    """Reap the ended children that had already ended at the last call, which answered `seen`.

    Whoever started a process itself waits for it as soon as it ends; what is still there a while later
    nobody waits for. Returns the ended children that are left.
    """
    with contextlib.suppress(ChildProcessError):
        if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return frozenset()
    ended = frozenset(pid for pid in _children() if _has_ended(pid))
    for pid in ended & seen:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return ended - seen


def _children() -> frozenset[int]:
    lists = Path("/proc/self/task").glob("*/children")
    return frozenset(int(pid) for path in lists for pid in path.read_text().split())


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
