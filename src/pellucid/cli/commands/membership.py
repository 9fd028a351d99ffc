"""`members`, `join`, `leave`, `force-leave`: who is in the cluster, and coming and going.

Source: Consul 1.10 command/{members,join,leave,forceleave}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.cli.client_errors import ClientError
from pellucid.cli.columns import columns
from pellucid.cli.command import FORMAT, Attempt, Command, CommandFailed, Invocation, UsageFailed
from pellucid.cli.go_flags import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUSES = ("none", "alive", "leaving", "left", "failed")
NO_MEMBERS = 2


def _members(invocation: Invocation) -> int:
    import re

    flags = invocation.flags
    wants_json = invocation.wants_json()
    try:
        wanted = re.compile(flags.text("status"))
    except re.error as error:
        raise CommandFailed(f"Failed to compile status regexp: {error}") from None
    query = {"segment": flags.text("segment") or "_all"}
    if flags.boolean("wan"):
        query = {"wan": "1"}
    with Attempt("Error retrieving members"):
        members = invocation.client().get("/v1/agent/members", query)
    members = [member for member in members if wanted.search(_status(member))]
    members.sort(key=lambda member: (member["Tags"].get("segment", ""), member["Name"]))
    if not members:
        return NO_MEMBERS
    if wants_json:
        invocation.output_json(members)
    elif flags.boolean("detailed"):
        invocation.output(columns([("Node", "Address", "Status", "Tags"), *map(_detailed, members)]))
    else:
        header = ("Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Segment")
        invocation.output(columns([header, *map(_row, members)]))
    return 0


def _row(member: Mapping[str, Any]) -> tuple[str, ...]:
    tags = member["Tags"]
    types = {"consul": ("server", "<all>"), "node": ("client", tags.get("segment") or "<default>")}
    kind, segment = types.get(tags.get("role", ""), ("unknown", ""))
    build = tags.get("build", "").partition(":")[0]
    return (
        member["Name"],
        _address(member),
        _status(member),
        kind,
        build,
        tags.get("vsn", ""),
        tags.get("dc", ""),
        segment,
    )


def _detailed(member: Mapping[str, Any]) -> tuple[str, ...]:
    tags = ",".join(f"{key}={value}" for key, value in sorted(member["Tags"].items()))
    return member["Name"], _address(member), _status(member), tags


def _address(member: Mapping[str, Any]) -> str:
    address = member["Addr"]
    return f"[{address}]:{member['Port']}" if ":" in address else f"{address}:{member['Port']}"


def _status(member: Mapping[str, Any]) -> str:
    status = member["Status"]
    return STATUSES[status] if 0 <= status < len(STATUSES) else f"unknown status {status}"


def _join(invocation: Invocation) -> int:
    if not invocation.arguments:
        raise UsageFailed("At least one address to join must be specified.")
    joined = 0
    query = {"wan": "1"} if invocation.flags.boolean("wan") else {}
    for address in invocation.arguments:
        try:
            invocation.client().put(f"/v1/agent/join/{address}", query=query)
            joined += 1
        except ClientError as error:
            invocation.error(f"Error joining address '{address}': {error}")
    if not joined:
        raise CommandFailed("Failed to join any nodes.")
    invocation.output(f"Successfully joined cluster by contacting {joined} nodes.")
    return 0


def _leave(invocation: Invocation) -> int:
    with Attempt("Error leaving"):
        invocation.client().put("/v1/agent/leave")
    invocation.output("Graceful leave complete")
    return 0


def _force_leave(invocation: Invocation) -> int:
    if len(invocation.arguments) != 1:
        raise UsageFailed("A single node name must be specified to force leave.")
    query = {"prune": "1"} if invocation.flags.boolean("prune") else {}
    with Attempt("Error force leaving"):
        invocation.client().put(f"/v1/agent/force-leave/{invocation.arguments[0]}", query=query)
    return 0


MEMBERS = Command(
    usage="members [options]",
    about="Lists the members of the cluster that the agent belongs to. Exits 2 when none match.",
    run=_members,
    flags=(
        Flag("detailed", "Show every tag of every member.", kind="boolean"),
        Flag("segment", "Only members of this network segment."),
        Flag("status", "Only members whose status matches.", default=".*", placeholder="regular expression"),
        Flag("wan", "List the servers of all datacenters instead of this one's members.", kind="boolean"),
        FORMAT,
    ),
)
JOIN = Command(
    usage="join [options] ADDRESS ...",
    about="Tells the agent to join the cluster that the agents at these addresses belong to.",
    run=_join,
    flags=(Flag("wan", "Join servers of another datacenter.", kind="boolean"),),
)
LEAVE = Command(
    usage="leave [options]",
    about="Makes the agent leave its cluster gracefully and stop.",
    run=_leave,
)
FORCE_LEAVE = Command(
    usage="force-leave [options] NODE",
    about="Marks a failed member as having left, so that nobody tries to reach it any more.",
    run=_force_leave,
    flags=(Flag("prune", "Also forget the member.", kind="boolean"),),
)
