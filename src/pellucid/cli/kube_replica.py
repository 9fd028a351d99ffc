"""What the components of the Helm chart have in common: their flags, and what follows from them.

Each is one of several replicas with a webhook, a lease to lead by and a mesh server to write to.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli.command import CommandFailed, Invocation
from pellucid.cli.go_flags import Flag, FlagValues

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pellucid.kube.replica import ReplicaSettings
    from pellucid.kube.server_client import ServerAddress

REPLICA_FLAGS = (
    Flag("webhook-configuration", "The webhook configuration to keep trusting us.", placeholder="name"),
    Flag("webhook-service", "The Service in front of us.", placeholder="name"),
    Flag("webhook-secret", "The Secret that holds the webhook's authority.", placeholder="name"),
    Flag("leader-lease", "The Lease by which one of us leads.", placeholder="name"),
    Flag("http-addr", "The mesh server's HTTPS address.", placeholder="url"),
    Flag("server-ca-file", "The authority of the mesh server.", placeholder="file"),
    Flag("token-file", "Our token for the mesh server.", placeholder="file"),
    Flag("log-level", "debug, info, warning or error.", default="info", placeholder="level"),
)
"""And `-listen`, whose default is each component's own."""
PORTS = range(1, 65_536)


def run_replica(
    what: str, invocation: Invocation, run: Callable[[Invocation], Coroutine[Any, Any, None]]
) -> int:
    """Run a component to its end. what: as it is called where it cannot run."""
    import asyncio

    from lightkube import ConfigError

    log_as_told(invocation.flags)
    try:
        asyncio.run(run(invocation))
    except (OSError, ConfigError) as error:
        raise CommandFailed(f"==> {what} cannot run: {error}") from None
    return 0


def log_as_told(flags: FlagValues) -> None:
    """Set up logging to standard error. Raises CommandFailed."""
    import logging

    level = logging.getLevelName(flags.text("log-level").upper())
    if not isinstance(level, int):
        raise CommandFailed(f"==> -log-level: {flags.text('log-level')!r} is no log level")
    logging.basicConfig(level=level, format="%(asctime)s [%(levelname)s] %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def replica_settings(invocation: Invocation) -> ReplicaSettings:
    """Which replica this is of what. Raises CommandFailed naming the flag that is missing or wrong."""
    from pellucid.kube.leader_election import Candidate, identity_of
    from pellucid.kube.replica import ReplicaSettings
    from pellucid.kube.webhook.trust import WebhookObjects

    flags, environment = invocation.flags, invocation.environment
    require(flags, (flag.name for flag in REPLICA_FLAGS))
    namespace = environment.get("POD_NAMESPACE") or "default"
    host, port = place(flags, "listen")
    return ReplicaSettings(
        host=host,
        port=port,
        webhook=WebhookObjects(
            namespace,
            flags.text("webhook-configuration"),
            flags.text("webhook-service"),
            flags.text("webhook-secret"),
        ),
        candidate=Candidate(identity_of(environment), namespace, flags.text("leader-lease")),
    )


def server_address(flags: FlagValues) -> ServerAddress:
    """Where the mesh server is, and how a component speaks to it."""
    from pellucid.kube.server_client import ServerAddress

    return ServerAddress(
        flags.text("http-addr"), Path(flags.text("server-ca-file")), Path(flags.text("token-file"))
    )


def require(flags: FlagValues, names: Iterable[str]) -> None:
    """Raises CommandFailed for the first that is not given."""
    for name in names:
        if not flags.text(name):
            raise CommandFailed(f"==> -{name} must be set")


def place(flags: FlagValues, name: str) -> tuple[str, int]:
    """Host and port of a flag; an empty host is every address. Raises CommandFailed."""
    host, _, port = flags.text(name).rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) in PORTS):
        raise CommandFailed(f"==> -{name}: {flags.text(name)!r} is no address; write it as :8080")
    return host.strip("[]"), int(port)
