"""`connect ca get-config` and `set-config`: the certificate authority's settings.

Source: Consul 1.10 command/connect/ca.
"""

from __future__ import annotations

from pellucid.cli.command import Attempt, Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag

PATH = "/v1/connect/ca/configuration"


def _get_config(invocation: Invocation) -> int:
    with Attempt("Error querying CA configuration"):
        configuration = invocation.client().get(PATH, invocation.scope())
    invocation.output_json(configuration, indent="\t")
    return 0


def _set_config(invocation: Invocation) -> int:
    import json

    from pellucid.cli.input_file import read_input

    name = invocation.flags.text("config-file")
    if not name:
        raise CommandFailed("The -config-file flag is required")
    try:
        configuration = json.loads(read_input(name, invocation.terminal.stdin))
    except (OSError, ValueError) as error:
        raise CommandFailed(f"Error reading config file: {error}") from None
    if not isinstance(configuration, dict):
        raise CommandFailed(f"Error reading config file: {name} does not hold a JSON object")
    if invocation.flags.boolean("force-without-cross-signing"):
        configuration["ForceWithoutCrossSigning"] = True
    with Attempt("Error setting CA configuration"):
        invocation.client().put(PATH, configuration, invocation.scope())
    invocation.output("Configuration updated!")
    return 0


GET_CONFIG = Command(
    usage="connect ca get-config [options]",
    about="Prints the certificate authority's settings as JSON, in the form set-config reads.",
    run=_get_config,
    takes_server=True,
)
SET_CONFIG = Command(
    usage="connect ca set-config [options] -config-file <file>",
    about=(
        "Changes the certificate authority's settings. A new provider or key starts a rotation: old and "
        "new roots are trusted while every proxy gets its new certificate.\n\n"
        "    $ {program} connect ca set-config -config-file ca.json"
    ),
    run=_set_config,
    flags=(
        Flag(
            "config-file",
            "A JSON file with Provider and Config, or - for standard input.",
            placeholder="file",
        ),
        Flag(
            "force-without-cross-signing",
            "Rotate even when the old authority cannot sign the new one; connections may fail meanwhile.",
            kind="boolean",
        ),
    ),
    takes_server=True,
)
