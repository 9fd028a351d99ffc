"""From the words of a helm command line to an exit code."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pellucid.helm.call import Call, CommandFailed
from pellucid.helm.chart_sources import ChartNotFound
from pellucid.helm.command_table import (
    ABSENT_COMMANDS,
    ABSENT_FLAGS,
    ALIASES,
    COMMANDS,
    GLOBAL_FLAGS,
    GROUP_ALIASES,
    GROUPS,
    HelmCommand,
)
from pellucid.helm.flags import UsageError, parse
from pellucid.helm.help_text import command_help, group_help, program_help
from pellucid.helm.repositories import RepositoriesError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TextIO

_GLOBAL = {f"--{flag.name}": flag for flag in GLOBAL_FLAGS} | {
    f"-{flag.short}": flag for flag in GLOBAL_FLAGS if flag.short
}


def run(
    words: Sequence[str],
    environment: Mapping[str, str],
    stdin: TextIO,
    stdout: TextIO,
    stderr: TextIO,
    own_charts: Path,
) -> int:
    """Run one helm command line (without its first word) and return the exit code.

    own_charts: the directory of this program's own charts.
    """
    try:
        name, rest = command_words(words)
        if name in ("", *GROUPS):
            parse(GLOBAL_FLAGS, rest)
            stdout.write((group_help(name) if name else program_help()) + "\n")
            return 0
        command = COMMANDS[name]
        said, arguments = parse((*command.flags, *GLOBAL_FLAGS), rest, ABSENT_FLAGS)
        if said.boolean("help"):
            stdout.write(command_help(command) + "\n")
            return 0
        _check_count(name, command, arguments)
        call = Call(said, arguments, environment, stdin, stdout, stderr, own_charts)
        return _run(command, call)
    except (UsageError, CommandFailed) as error:
        stderr.write(f"Error: {error}\n")
        return 1


def command_words(words: Sequence[str]) -> tuple[str, list[str]]:
    """The command's name in the table, a group's, or "" for none; and the other words, flags before it too.

    Raises UsageError for a command that there is not.
    """
    before, rest = _before_command(list(words))
    if not rest:
        return "", before
    first = GROUP_ALIASES.get(rest[0], rest[0])
    if first == "help":
        name, _ = command_words(rest[1:])
        return name, ["--help"]
    if first in GROUPS:
        between, after = _before_command(rest[1:])
        if not after:
            return first, [*before, *between]
        name = ALIASES.get(f"{first} {after[0]}", f"{first} {after[0]}")
        if name not in COMMANDS:
            raise UsageError(f'unknown command "{after[0]}" for "helm {first}"')
        return name, [*before, *between, *after[1:]]
    name = ALIASES.get(first, first)
    if name in ABSENT_COMMANDS:
        raise UsageError(f'"helm {name}" is a command of helm\'s that this program does not have')
    if name not in COMMANDS:
        raise UsageError(f'unknown command "{first}" for "helm"\nRun \'helm --help\' for usage.')
    return name, [*before, *rest[1:]]


def _before_command(words: list[str]) -> tuple[list[str], list[str]]:
    """The flags before the next word that is none, and the words from there on."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        flag = _GLOBAL.get(words[position])
        position += 2 if flag is not None and flag.needs_value() else 1
    return words[:position], words[position:]


def _run(command: HelmCommand, call: Call) -> int:
    module, _, name = command.place.partition(".")
    function = getattr(import_module(f"pellucid.helm.commands.{module}"), name)
    from pellucid.helm.engine import EngineError

    try:
        code = function(call)
    except (EngineError, ChartNotFound, RepositoriesError, CommandFailed) as error:
        raise CommandFailed(f"{command.failure}{error}") from None
    assert isinstance(code, int), command.usage
    return code


def _check_count(name: str, command: HelmCommand, arguments: tuple[str, ...]) -> None:
    least, most = command.arguments
    if least <= len(arguments) <= most:
        return
    if most == 0:
        wanted = "accepts no arguments"
    elif least == most:
        wanted = f"requires {_arguments(least)}"
    elif len(arguments) > most:
        wanted = f"accepts at most {_arguments(most)}"
    else:
        wanted = f"requires at least {_arguments(least)}"
    raise UsageError(f'"helm {name}" {wanted}\n\nUsage:  helm {command.usage}')


def _arguments(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"
