"""Ends the containers of one pod, gracefully as long as there is time.

Source: Kubernetes docs, "Pod Lifecycle - Termination of Pods" and "Sidecar Containers".
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pellucid.localkube.node.container_runtime import Container, ContainerRuntime

Hook = Callable[[str], Awaitable[None]]


class ContainerStopping:
    """`containers` are the pod's running ones, by name; `pre_stop` runs the hook of a named one, if any."""

    def __init__(self, runtime: ContainerRuntime, containers: dict[str, Container], pre_stop: Hook) -> None:
        self._runtime = runtime
        self._containers = containers
        self._pre_stop = pre_stop
        self._waits: set[asyncio.Timeout] = set()

    async def stop_groups(self, groups: Iterable[Sequence[str]], grace: float) -> None:
        """One group after another, each at once; all of them have `grace` seconds together."""
        deadline = asyncio.get_running_loop().time() + grace
        for group in groups:
            await asyncio.gather(*(self._stop_by(name, deadline) for name in group))

    async def stop(self, name: str, grace: float) -> None:
        """The hook, then SIGTERM, then SIGKILL when `grace` seconds are over."""
        await self._stop_by(name, asyncio.get_running_loop().time() + grace)

    def hurry(self, grace: float) -> None:
        """Whatever is being stopped has `grace` more seconds at most."""
        latest = asyncio.get_running_loop().time() + grace
        for wait in self._waits:
            due = wait.when()
            if due is not None and due > latest:
                wait.reschedule(latest)

    async def _stop_by(self, name: str, deadline: float) -> None:
        container = self._containers.get(name)
        if container is None:
            return
        try:
            async with asyncio.timeout_at(deadline) as wait:
                self._waits.add(wait)
                try:
                    await self._pre_stop(name)
                    container.signal(signal.SIGTERM)
                    await asyncio.shield(container.exit)
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            await self._runtime.kill(container)
