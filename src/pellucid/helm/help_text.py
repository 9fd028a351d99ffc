"""helm's help: of the program, of a group of commands, of one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.helm.chart_sources import STAND_INS
from pellucid.helm.command_table import COMMANDS, GLOBAL_FLAGS, GROUPS
from pellucid.helm.output import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pellucid.helm.command_table import HelmCommand
    from pellucid.helm.flags import Flag

_PLACEHOLDERS = {
    "integer": " int",
    "number": " float",
    "duration": " duration",
    "list": " stringArray",
    "comma list": " strings",
    "text": " string",
}


def program_help() -> str:
    own = {name: command.about for name, command in COMMANDS.items() if " " not in name}
    stand_ins = ", ".join(f"{name} is charts/{one.chart}" for name, one in STAND_INS.items())
    return (
        "Helm, by Helm's own engine: installs and manages charts on a Kubernetes cluster.\n\n"
        "A link to this program named `helm` takes these commands as they are. These charts are this\n"
        f"program's own: {stand_ins}.\n\n"
        f"Usage:\n  helm [command]\n\nAvailable Commands:\n{_listing(own | GROUPS)}\n\n"
        f"Flags:\n{_flags(GLOBAL_FLAGS)}"
    )


def group_help(group: str) -> str:
    inside = {
        name.removeprefix(f"{group} "): command.about
        for name, command in COMMANDS.items()
        if name.startswith(f"{group} ")
    }
    return (
        f"{GROUPS[group]}\n\nUsage:\n  helm {group} [command]\n\nAvailable Commands:\n{_listing(inside)}\n\n"
        f"Flags:\n{_flags(GLOBAL_FLAGS)}"
    )


def command_help(command: HelmCommand) -> str:
    flags = f"Flags:\n{_flags(command.flags)}\n\n" if command.flags else ""
    return (
        f"{command.about}\n\nUsage:\n  helm {command.usage}\n\n{flags}Global Flags:\n{_flags(GLOBAL_FLAGS)}"
    )


def _listing(about: Mapping[str, str]) -> str:
    return _indented([name, text] for name, text in sorted(about.items()))


def _flags(flags: Iterable[Flag]) -> str:
    return _indented([_flag(flag), flag.help] for flag in sorted(flags, key=lambda flag: flag.name))


def _flag(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    value = f'[="{flag.bare}"]' if flag.bare else _PLACEHOLDERS.get(flag.kind, "")
    return f"{short}--{flag.name}{value}"


def _indented(rows: Iterable[list[str]]) -> str:
    return "\n".join("  " + line.rstrip() for line in table(list(rows)).replace("\t", "  ").split("\n"))
