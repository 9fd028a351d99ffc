"""Starts all the parts of a run in order, and undoes them in the reverse order.

Each part is undone by leaving its `async with`, or by the kernel when we are killed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack

from pellucid.dataplane.envoy_binary import EnvoyMissingError, find_envoy
from pellucid.dataplane.envoy_process import EnvoyFailedError
from pellucid.dataplane.namespace.fabric import joined_fabric
from pellucid.dataplane.namespace.fabric_addresses import FabricFullError
from pellucid.dataplane.namespace.workload_namespace import (
    NamespaceError,
    WorkloadNamespace,
    workload_namespace,
)
from pellucid.dataplane.redirect_apply import RedirectError
from pellucid.dataplane.redirect_settings import InvalidSettingError
from pellucid.dataplane.run.agent_api import AgentError
from pellucid.dataplane.run.agent_doors import agent_doors
from pellucid.dataplane.run.ending import GuardianLostError, Parts, Run, StoppedEarlyError, StopSignals
from pellucid.dataplane.run.guarding import guardian
from pellucid.dataplane.run.program import program_request
from pellucid.dataplane.run.registration import WorkloadRegistration
from pellucid.dataplane.run.runtime_directory import runtime_directory
from pellucid.dataplane.run.settings import WorkloadSettings
from pellucid.dataplane.run.sidecar import WorkloadSidecar
from pellucid.dataplane.run.surroundings import surroundings
from pellucid.dataplane.run.user import workload_user

EXIT_FAILED = 125
"""The run failed, not the program. Docker's number, as the shell's two are."""
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127

_PROBLEMS = (
    AgentError,
    EnvoyFailedError,
    EnvoyMissingError,
    FabricFullError,
    GuardianLostError,
    InvalidSettingError,
    NamespaceError,
    RedirectError,
)


async def run_workload(settings: WorkloadSettings) -> int:
    """Run the program in the mesh until it ends, or until a signal asks us to stop.

    Returns the program's exit code (128 + n when signal n ended it), or 125 when the run failed, 126 and 127
    when the program cannot be executed or found; what went wrong is on standard error.
    """
    with StopSignals() as stop:
        try:
            return await _run(settings, stop)
        except StoppedEarlyError as stopped:
            return 128 + stopped.number
        except PermissionError as problem:
            return _failed(problem, EXIT_NOT_EXECUTABLE)
        except FileNotFoundError as problem:
            return _failed(problem, EXIT_NOT_FOUND)
        except _PROBLEMS as problem:
            return _failed(problem, EXIT_FAILED)


async def _run(settings: WorkloadSettings, stop: StopSignals) -> int:
    rootless = os.geteuid() != 0
    user = workload_user(settings.user, os.environ)
    async with AsyncExitStack() as undo:
        namespace, parts = await stop.unless_stopped(_prepare(settings, undo, rootless=rootless))
        # From here on a signal is the program's to answer.
        request = program_request(settings.command, user, os.environ, rootless=rootless)
        program = await namespace.spawn(request, (0, 1, 2))
        await undo.enter_async_context(parts.registration.kept_informed(namespace, parts.sidecar))
        return await Run(program, parts, stop, settings.drain_s).until_end()


async def _prepare(
    settings: WorkloadSettings, undo: AsyncExitStack, *, rootless: bool
) -> tuple[WorkloadNamespace, Parts]:
    """Everything but the program."""
    binary = find_envoy(settings.envoy_binary)
    directory = settings.runtime_directory or runtime_directory(os.environ, rootless=rootless)
    # First, so that it can be told of everything that the kernel does not undo by itself.
    watcher = await undo.enter_async_context(guardian())
    doors = await asyncio.to_thread(agent_doors, settings)
    fabric = undo.enter_context(joined_fabric(directory, rootless=rootless))
    namespace = await undo.enter_async_context(workload_namespace(fabric.owner))
    await fabric.connect(namespace)
    await undo.enter_async_context(surroundings(namespace, settings, doors.dns, rootless=rootless))

    registration = WorkloadRegistration(settings, fabric.place, watcher)
    undo.push_async_callback(registration.withdraw)
    credential = await registration.enter()

    sidecar = WorkloadSidecar(namespace, settings, registration.ids.proxy, binary, rootless=rootless)
    await undo.enter_async_context(sidecar.way_to_agent(doors.xds))
    undo.push_async_callback(sidecar.envoy.stop)
    await sidecar.start(doors.xds, credential)
    return namespace, Parts(sidecar, registration, watcher)


def _failed(problem: Exception, code: int) -> int:
    of_a_file = isinstance(problem, OSError) and problem.filename is not None
    what = f"{problem.filename}: {problem.strerror}" if of_a_file else str(problem)  # type: ignore[attr-defined]
    print(f"pellucid run: {what}", file=sys.stderr)
    return code
