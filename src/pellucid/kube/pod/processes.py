"""Does a container beside ours still run? Seen where the pod's containers share one process namespace.

Processes of one container are in one control group; process 1 is the pod's own, which only waits.
Source: Kubernetes docs, "Share Process Namespace between Containers in a Pod".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from pellucid.kube.pod.departure import LOOK_SECONDS, quiet

_PODS_OWN = "1"


def others_run(processes: Path = Path("/proc")) -> bool:
    """Whether there is a process that is neither ours nor the pod's own."""
    own = _control_group(processes / "self")
    found = (each for each in processes.iterdir() if each.name.isdigit() and each.name != _PODS_OWN)
    return any(_control_group(each) not in ("", own) for each in found)


async def others_have_ended(
    settled_seconds: float,
    running: Callable[[], bool] = others_run,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Until the others have come, and have been away for so long: one that failed may be started again."""
    while not running():
        await sleep(LOOK_SECONDS)
    await quiet(running, settled_seconds, None, sleep)


def _control_group(process: Path) -> str:
    """Empty for a process that has ended meanwhile."""
    try:
        return (process / "cgroup").read_text()
    except OSError:
        return ""
