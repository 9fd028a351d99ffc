"""The probes and hooks of one running container."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pellucid.localkube.node.container_runtime import Container, ContainerRuntime
from pellucid.localkube.node.probes import ProbeTarget, http_get, keep_probing
from pellucid.localkube.node.runtime_errors import ContainerFailed

Object = dict[str, Any]


@dataclass(frozen=True)
class PodAccess:
    """How a pod's containers are reached from its node."""

    address: str
    runtime: ContainerRuntime
    containers: dict[str, Container]

    def target(self, container: Object) -> ProbeTarget:
        """For the probes and hooks of one container."""
        ports = {
            port["name"]: port["containerPort"] for port in container.get("ports") or () if "name" in port
        }
        return ProbeTarget(self.address, ports, lambda command: self._run(container["name"], command))

    async def _run(self, name: str, command: list[str]) -> tuple[int, str]:
        container = self.containers.get(name)
        if container is None:
            return 1, f"container {name} is not running"
        try:
            session = await self.runtime.exec(container, command, stdin=False, tty=False)
            try:
                assert session.stderr is not None
                output, errors = await asyncio.gather(session.stdout.read(), session.stderr.read())
                return await session.wait(), (output + errors).decode(errors="replace")
            except asyncio.CancelledError:
                await asyncio.shield(session.kill())
                raise
        except ContainerFailed as problem:
            return problem.exit_code, str(problem)


async def run_hook(hook: Object, container: Object, access: PodAccess) -> str:
    """A lifecycle hook; what went wrong, or nothing."""
    target = access.target(container)
    try:
        if "exec" in hook:
            code, output = await target.run(list(hook["exec"]["command"]))
            return f"command exited with {code}: {output}" if code else ""
        if "httpGet" in hook:
            outcome = await http_get(hook["httpGet"], target)
            return "" if outcome.succeeded else outcome.message
        if "sleep" in hook:
            await asyncio.sleep(hook["sleep"]["seconds"])
        return ""
    except (OSError, ValueError, EOFError) as problem:
        return str(problem)


class ContainerProbing:
    """Probes one container while it runs. Until its startup probe succeeds, the other two wait.

    `on_change` is called when `started` or `ready` may differ; `on_failure` with the kind of every probe that
    failed and what it said; `on_unhealthy` with the kind of the probe that failed often enough for a restart.
    """

    def __init__(
        self,
        container: Object,
        access: PodAccess,
        *,
        on_change: Callable[[], None],
        on_failure: Callable[[str, str], Awaitable[None]],
        on_unhealthy: Callable[[str], Awaitable[None]],
    ) -> None:
        self._container = container
        self._target = access.target(container)
        self._on_change = on_change
        self._on_failure = on_failure
        self._on_unhealthy = on_unhealthy
        self._tasks: list[asyncio.Task[None]] = []
        self.started = "startupProbe" not in container
        self.ready = self.started and "readinessProbe" not in container

    def start(self) -> None:
        """Begin, with the startup probe if there is one."""
        if self.started:
            self._probe_running()
        else:
            self._keep("Startup", self._startup)

    def stop(self) -> None:
        """The container ended."""
        for task in self._tasks:
            task.cancel()

    def _probe_running(self) -> None:
        self._keep("Readiness", self._readiness)
        self._keep("Liveness", self._liveness)

    def _keep(self, kind: str, report: Callable[[bool], Awaitable[None]]) -> None:
        if probe := self._container.get(f"{kind.lower()}Probe"):

            async def failed(said: str) -> None:
                await self._on_failure(kind, said)

            self._tasks.append(asyncio.ensure_future(keep_probing(probe, self._target, failed, report)))

    async def _startup(self, succeeded: bool) -> None:
        if not succeeded:
            await self._on_unhealthy("Startup")
            return
        self.started = True
        self.ready = "readinessProbe" not in self._container
        self._on_change()
        self._probe_running()
        self._tasks.pop(0).cancel()

    async def _readiness(self, succeeded: bool) -> None:
        self.ready = succeeded
        self._on_change()

    async def _liveness(self, succeeded: bool) -> None:
        if not succeeded:
            await self._on_unhealthy("Liveness")
