"""When a pod that is to complete has done its work: its other containers have come, and are gone.

They may be gone before anybody looks, so it is noted when they were let come; a sidecar that is started
again goes on from its predecessor's note.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from pellucid.kube.pod.departure import LOOK_SECONDS, quiet
from pellucid.kube.pod.processes import PROC, Newcomers, last_id, others_run


class Completion:
    """One pod's; a restart of the sidecar does not make it another."""

    def __init__(self, note: Path, processes: Path = PROC) -> None:
        """note: a file that outlives the sidecar, but not the pod."""
        self._note, self._processes = note, processes
        self._let_come = asyncio.Event()
        self._last_before = _noted(note)
        if self._last_before is not None:
            self._let_come.set()

    def let_others_come(self) -> None:
        """To be called before anybody learns that the sidecar is ready; only the first time counts."""
        if self._last_before is not None:
            return
        self._last_before = last_id(self._processes)
        with contextlib.suppress(OSError):
            self._note.write_text(str(self._last_before))
        self._let_come.set()

    async def reached(
        self, settled_seconds: float, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """Wait until the others came and have been away for so long: a failed one is started again."""
        await self._let_come.wait()
        assert self._last_before is not None
        newcomers = Newcomers(self._last_before, self._processes)
        while not newcomers.came() and not self._others_run():
            await sleep(LOOK_SECONDS)
        await quiet(self._others_run, settled_seconds, sleep)

    def _others_run(self) -> bool:
        return others_run(self._processes)


def _noted(note: Path) -> int | None:
    try:
        return int(note.read_text())
    except (OSError, ValueError):
        return None
