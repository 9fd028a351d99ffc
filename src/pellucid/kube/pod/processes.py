"""Which processes beside ours there are, and were, as the process namespace that a pod shares shows them.

Processes of one container are in one control group; process 1 is the pod's own, which only waits.
Sources: Kubernetes docs, "Share Process Namespace between Containers in a Pod"; proc(5), /proc/loadavg.
"""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")
_PODS_OWN = "1"


def others_run(processes: Path = PROC) -> bool:
    """Whether there is a process that is neither ours nor the pod's own."""
    own = _control_group(processes / "self")
    found = (each for each in processes.iterdir() if each.name.isdigit() and each.name != _PODS_OWN)
    return any(_control_group(each) not in ("", own) for each in found)


def last_id(processes: Path = PROC) -> int:
    """The id that the kernel gave last in our process namespace; each new process or thread gets the next."""
    return int((processes / "loadavg").read_text().split()[-1])


class Newcomers:
    """Whether others have started anything, told by the ids given since: even what is gone when we look."""

    def __init__(self, since: int, processes: Path = PROC) -> None:
        """since: the last id before others could start."""
        self._looked_at, self._processes = since, processes

    def came(self) -> bool:
        """Whether an id given since the last look is not one of ours; what is gone was another's."""
        newest = last_id(self._processes)
        if newest < self._looked_at:
            return True  # The kernel has begun again with the low ids.
        own = _control_group(self._processes / "self")
        new = range(self._looked_at + 1, newest + 1)
        self._looked_at = newest
        return any(_control_group(self._processes / str(each)) != own for each in new)


def _control_group(process: Path) -> str:
    """Empty for a process that has ended meanwhile."""
    try:
        return (process / "cgroup").read_text()
    except OSError:
        return ""
