"""`info`, `reload`, `maint`: looking after a running agent.

Source: Consul 1.10 command/{info,reload,maint}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.cli.command import Attempt, Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from pellucid.cli.http_client import ConsulClient

NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE_PREFIX = "_service_maintenance:"


def _info(invocation: Invocation) -> int:
    with Attempt("Error querying agent"):
        stats = invocation.client().get("/v1/agent/self")["Stats"]
    for section in sorted(stats):
        invocation.output(f"{section}:")
        for key, value in sorted(stats[section].items()):
            invocation.output(f"\t{key} = {value}")
    return 0


def _reload(invocation: Invocation) -> int:
    with Attempt("Error reloading"):
        invocation.client().put("/v1/agent/reload")
    invocation.output("Configuration reload triggered")
    return 0


def _maint(invocation: Invocation) -> int:
    flags = invocation.flags
    enable, disable, reason = flags.boolean("enable"), flags.boolean("disable"), flags.text("reason")
    service = flags.text("service")
    if enable and disable:
        raise CommandFailed("Only one of -enable or -disable may be provided")
    if reason and not enable:
        raise CommandFailed("Reason may only be provided with -enable")
    client = invocation.client()
    if not enable and not disable:
        if service:
            raise CommandFailed("Must provide -enable or -disable with -service")
        return _list_maintenance(invocation, client)
    query = {"enable": "true" if enable else "false", "reason": reason}
    path = f"/v1/agent/service/maintenance/{service}" if service else "/v1/agent/maintenance"
    subject = "Service" if service else "Node"
    with Attempt(f"Error {'enabling' if enable else 'disabling'} {subject.lower()} maintenance"):
        client.put(path, query=query)
    state = "enabled" if enable else "disabled"
    named = f' for "{service}"' if service else ""
    invocation.output(f"{subject} maintenance is now {state}{named}")
    return 0


def _list_maintenance(invocation: Invocation, client: ConsulClient) -> int:
    with Attempt("Error querying agent"):
        node = client.get("/v1/agent/self")["Config"]["NodeName"]
        checks = client.get("/v1/agent/checks")
    for identifier, check in sorted(checks.items()):
        if identifier == NODE_MAINTENANCE:
            invocation.output(f"Node:\n  Name:   {node}\n  Reason: {check['Notes']}\n")
        elif identifier.startswith(SERVICE_MAINTENANCE_PREFIX):
            invocation.output(f"Service:\n  ID:     {check['ServiceID']}\n  Reason: {check['Notes']}\n")
    return 0


INFO = Command(
    usage="info [options]",
    about="Prints what the agent reports about itself, by section.",
    run=_info,
)
RELOAD = Command(
    usage="reload [options]",
    about=(
        "Makes the agent read its configuration files again. Services, checks, DNS, logging, node metadata "
        "and renewed certificates are taken over at once; the agent says what needs a restart."
    ),
    run=_reload,
)
MAINT = Command(
    usage="maint [options]",
    about=(
        "Puts a node or a service into maintenance mode (nothing is sent to it) or takes it out again. "
        "Without flags, lists what is in maintenance mode on this agent.\n\n"
        '    $ {program} maint -enable -service=web -reason="new disk"\n'
        "    $ {program} maint -disable -service=web"
    ),
    run=_maint,
    flags=(
        Flag("disable", "End maintenance mode.", kind="boolean"),
        Flag("enable", "Start maintenance mode.", kind="boolean"),
        Flag("reason", "Why, shown to whoever looks; only with -enable.", placeholder="text"),
        Flag("service", "The service to act on, by ID; without it, the whole node.", placeholder="ID"),
    ),
)
