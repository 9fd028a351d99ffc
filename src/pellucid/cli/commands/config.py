"""`config write`, `read`, `list`, `delete`: configuration entries.

A file is decoded here before it is sent, so that mistakes are reported with the file and line at hand;
the agent decodes again and has the last word.
Source: Consul 1.10 command/config.
"""

from __future__ import annotations

from typing import Any

from pellucid.cli.client_errors import ClientError
from pellucid.cli.command import FORMAT, Attempt, Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag

KIND = Flag("kind", "The kind of configuration entry, e.g. service-defaults.", placeholder="kind")
NAME = Flag("name", "The name of the configuration entry.", placeholder="name")


def _write(invocation: Invocation) -> int:
    from pellucid.cli.config_entry_file import read_entry

    if len(invocation.arguments) != 1:
        raise CommandFailed(
            "Must provide exactly one positional argument to specify the config entry to write"
        )
    entry = read_entry(invocation.arguments[0], invocation.terminal.stdin)
    label = f"{entry.kind}/{entry.name}"
    query = invocation.scope()
    if invocation.flags.boolean("cas"):
        query["cas"] = str(invocation.flags.integer("modify-index"))
    try:
        written = invocation.client().put("/v1/config", entry.body, query)
    except ClientError as error:
        raise CommandFailed(
            f"Error writing config entry {label}: {error}{entry.places(str(error))}"
        ) from None
    if not written:
        raise CommandFailed(f"Config entry not updated: {label}")
    invocation.output(f"Config entry written: {label}")
    return 0


def _read(invocation: Invocation) -> int:
    kind, name = _kind(invocation), _name(invocation)
    invocation.output_json(
        _ask(invocation, f"reading config entry {kind}/{name}", f"/v1/config/{kind}/{name}")
    )
    return 0


def _list(invocation: Invocation) -> int:
    kind = _kind(invocation)
    wants_json = invocation.wants_json()
    entries = _ask(invocation, f'listing config entries for kind "{kind}"', f"/v1/config/{kind}")
    if wants_json:
        invocation.output_json(entries)
    else:
        for entry in entries:
            invocation.output(entry.get("Name", kind))
    return 0


def _delete(invocation: Invocation) -> int:
    kind, name = _kind(invocation), _name(invocation)
    with Attempt(f"Error deleting config entry {kind}/{name}"):
        invocation.client().delete(f"/v1/config/{kind}/{name}", invocation.scope())
    invocation.output(f"Config entry deleted: {kind}/{name}")
    return 0


def _ask(invocation: Invocation, doing: str, path: str) -> Any:
    with Attempt(f"Error {doing}"):
        return invocation.client().get(path, invocation.scope())


def _kind(invocation: Invocation) -> str:
    kind = invocation.flags.text("kind")
    if not kind:
        raise CommandFailed("Must specify the -kind parameter")
    return kind


def _name(invocation: Invocation) -> str:
    name = invocation.flags.text("name")
    if not name:
        raise CommandFailed("Must specify the -name parameter")
    return name


WRITE = Command(
    usage="config write [options] <configuration>",
    about=(
        "Creates or replaces a configuration entry. The argument is a file in HCL or JSON, or - for "
        "standard input.\n\n"
        "    $ {program} config write web.service-defaults.hcl\n\n"
        "With -cas the entry is written only if it has not changed since it had the given -modify-index; "
        "index 0 means it must not exist yet."
    ),
    run=_write,
    flags=(
        Flag("cas", "Write only if the entry's ModifyIndex is still -modify-index.", kind="boolean"),
        Flag("modify-index", "The ModifyIndex that -cas expects.", kind="integer", placeholder="index"),
    ),
    takes_server=True,
    takes_namespace=True,
)
READ = Command(
    usage="config read [options] -kind <kind> -name <name>",
    about=(
        "Prints a configuration entry as JSON. The output can be edited and written back.\n\n"
        "    $ {program} config read -kind proxy-defaults -name global"
    ),
    run=_read,
    flags=(KIND, NAME),
    takes_server=True,
    takes_namespace=True,
)
LIST = Command(
    usage="config list [options] -kind <kind>",
    about="Prints the names of all configuration entries of a kind, one per line.",
    run=_list,
    flags=(KIND, FORMAT),
    takes_server=True,
    takes_namespace=True,
)
DELETE = Command(
    usage="config delete [options] -kind <kind> -name <name>",
    about="Deletes a configuration entry. Deleting one that does not exist is not an error.",
    run=_delete,
    flags=(KIND, NAME),
    takes_server=True,
    takes_namespace=True,
)
