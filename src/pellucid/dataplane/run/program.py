"""How the workload's own program is started: as its user, with less power than we have."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pellucid.dataplane.namespace.protocol import Spawn
from pellucid.dataplane.run.user import WorkloadUser

# With these a program run by root could undo its own redirection, or pose as its proxy by Envoy's mark.
_CAP_NET_ADMIN = 12
_CAP_SYS_MODULE = 16
_CAP_SYS_PTRACE = 19
_CAP_SYS_ADMIN = 21
_DROPPED = (_CAP_NET_ADMIN, _CAP_SYS_MODULE, _CAP_SYS_PTRACE, _CAP_SYS_ADMIN)


def program_request(
    command: tuple[str, ...], user: WorkloadUser, environment: Mapping[str, str], *, rootless: bool
) -> Spawn:
    """What starts the program in its namespaces, in our directory and environment.

    Rootless, only one user exists inside; the program sees itself as who it is and has no rights there.
    """
    return Spawn(
        arguments=command,
        environment={**environment, **user.variables},
        directory=os.getcwd(),
        credentials=None if rootless else user.credentials,
        seen_as=user.credentials if rootless else None,
        drop_capabilities=_DROPPED,
    )


def exit_code(status: int) -> int:
    """A shell's exit code for a process's end: 128 + n for signal n."""
    return 128 - status if status < 0 else status
