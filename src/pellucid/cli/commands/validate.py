"""`validate`: check configuration files without starting an agent.

The services, checks and config entries that they define are tried on an empty catalog.

Source: Consul 1.10 command/validate.
"""

from __future__ import annotations

from pellucid.cli.command import Command, CommandFailed, Invocation
from pellucid.cli.go_flags import Flag


def _run(invocation: Invocation) -> int:
    from pellucid.agent.configuration_loading import load_configuration
    from pellucid.agent.configuration_sources import ConfigurationError
    from pellucid.agent.file_definitions import defined_changes
    from pellucid.state.log import Log

    if not invocation.arguments:
        raise CommandFailed("Must specify at least one config file or directory")
    flags = invocation.flags
    try:
        configuration = load_configuration(invocation.arguments, config_format=flags.text("config-format"))
        defined_changes(configuration, Log().head)
    except ConfigurationError as error:
        raise CommandFailed(f"Config validation failed: {error}") from None
    if not flags.boolean("quiet"):
        for warning in configuration.warnings:
            invocation.error(invocation.terminal.paint(warning, "yellow"))
        invocation.output("Configuration is valid!")
    return 0


VALIDATE = Command(
    usage="validate [options] FILE_OR_DIRECTORY...",
    about=(
        "Checks that an agent could start with these configuration files and directories. Prints what is "
        "wrong and exits 1, or says that all is well and which keys have no effect."
    ),
    run=_run,
    flags=(
        Flag("config-format", "Read every file as this format, whatever its name.", placeholder="hcl|json"),
        Flag("quiet", "Say nothing when the configuration is valid.", kind="boolean"),
    ),
    takes_client=False,
)
