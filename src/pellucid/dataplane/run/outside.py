"""A program on the fabric that is not in the mesh: a stand-in for a host outside, where there is no network.

Demonstrations and tests let a workload call `https://example.com` without leaving the machine: this program
answers at the address that the workload's `hosts` give for the name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from pellucid.dataplane.namespace.fabric import joined_fabric
from pellucid.dataplane.namespace.workload_namespace import workload_namespace
from pellucid.dataplane.run.ending import StopSignals
from pellucid.dataplane.run.program import exit_code, program_request
from pellucid.dataplane.run.runtime_directory import runtime_directory
from pellucid.dataplane.run.user import workload_user


async def run_outside(
    command: Sequence[str],
    addresses: Sequence[IPv4Address | IPv6Address],
    directory: Path | None = None,
) -> int:
    """Run the program until it ends or a signal asks us to stop; returns its exit code.

    addresses: what it answers at, besides its place on the fabric;
    directory: as `WorkloadSettings.runtime_directory`; the fabric it names is the one to be outside of.
    Raises NamespaceError, OSError when the program cannot be started.
    """
    rootless = os.geteuid() != 0
    async with AsyncExitStack() as undo:
        stop = undo.enter_context(StopSignals())
        fabric = undo.enter_context(
            joined_fabric(directory or runtime_directory(os.environ, rootless=rootless), rootless=rootless)
        )
        namespace = await undo.enter_async_context(workload_namespace(fabric.owner))
        await fabric.connect(namespace)
        await fabric.lead_outside(namespace, addresses)
        undo.push_async_callback(fabric.forget_outside, addresses)
        user = workload_user("", os.environ)
        request = program_request(tuple(command), user, os.environ, rootless=rootless)
        program = await namespace.spawn(request, (0, 1, 2))
        return exit_code(await stop.passed_on_to(program))
