"""From the words of a command line to an exit code.

Which command, whether help or the version was asked for, which stream gets what and which code comes
back: the rules of Consul's command line, in one place.
Source: Consul 1.10 main.go and the mitchellh/cli package it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pellucid.cli.client_errors import ClientError
from pellucid.cli.command import Command, CommandFailed, Invocation, Terminal, UsageFailed
from pellucid.cli.command_table import TABLE, Entry, Group, children, longest_match
from pellucid.cli.go_flags import FlagError, HelpRequested, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HELP_WORDS = frozenset({"-h", "-help", "--help"})
VERSION_WORDS = frozenset({"-v", "-version", "--version"})
UNKNOWN_COMMAND = 127


def dispatch(program: str, words: Sequence[str], environment: Mapping[str, str], terminal: Terminal) -> int:
    """Run the command that `words` name, as `program` (`pellucid` or `consul`), and return its exit code."""
    before, rest = _leading_flags(words)
    if any(word in VERSION_WORDS for word in before):
        return _run(program, _command("version"), (), environment, terminal)
    name, arguments = longest_match(rest)
    asked_for_help = any(word in HELP_WORDS for word in before)
    if not name:
        return _top_help(program, terminal, asked=asked_for_help)
    entry = TABLE[name]
    if isinstance(entry, Group):
        asked = asked_for_help or _asks_for_help(arguments)
        (terminal.stdout if asked else terminal.stderr).write(_group_help(program, name, entry) + "\n")
        return 0 if asked else 1
    command = _command(name)
    if command.own_grammar and not before:
        return _run(program, command, ["--", *arguments], environment, terminal)
    if asked_for_help or (not command.runs_program and _asks_for_help(arguments)):
        terminal.stdout.write(_command_help(program, command) + "\n")
        return 0
    if before:
        terminal.stderr.write(
            "Invalid flags before the subcommand. If these flags are for\n"
            "the subcommand, please put them after the subcommand.\n\n"
            f"{_command_help(program, command)}\n"
        )
        return 1
    return _run(program, command, arguments, environment, terminal)


def _run(
    program: str,
    command: Command,
    words: Sequence[str],
    environment: Mapping[str, str],
    terminal: Terminal,
) -> int:
    """Parse the command's flags and run it, turning its failures into text and exit codes."""
    try:
        flags, arguments = parse(command.all_flags(), words)
    except HelpRequested:
        terminal.stdout.write(_command_help(program, command) + "\n")
        return 0
    except FlagError as error:
        terminal.stderr.write(f"{error}\n{_command_help(program, command)}\n")
        return command.flag_error_code
    try:
        return command.run(Invocation(program, flags, arguments, environment, terminal))
    except CommandFailed as failure:
        terminal.stderr.write(terminal.paint(failure.text, "red") + "\n")
        if isinstance(failure, UsageFailed):
            terminal.stderr.write(f"\n{_command_help(program, command)}\n")
        return failure.exit_code
    except ClientError as error:
        terminal.stderr.write(terminal.paint(f"Error: {error}", "red") + "\n")
        return 1


def _leading_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags before the first command word, and everything from that word on."""
    for position, word in enumerate(words):
        if word == "--" or not word.startswith("-"):
            return list(words[:position]), list(words[position:])
    return list(words), []


def _asks_for_help(words: Sequence[str]) -> bool:
    own = words[: words.index("--")] if "--" in words else words
    return any(word in HELP_WORDS for word in own)


def _command(name: str) -> Command:
    entry = TABLE[name]
    assert isinstance(entry, Entry), name
    command = getattr(import_module(f"pellucid.cli.commands.{entry.module}"), entry.attribute)
    assert isinstance(command, Command), name
    return command


def _top_help(program: str, terminal: Terminal, *, asked: bool) -> int:
    from pellucid.cli.help_text import program_help

    (terminal.stdout if asked else terminal.stderr).write(program_help(program, children("")) + "\n")
    return 0 if asked else UNKNOWN_COMMAND


def _group_help(program: str, name: str, group: Group) -> str:
    from pellucid.cli.help_text import group_help

    return group_help(program, name, group.about, children(name))


def _command_help(program: str, command: Command) -> str:
    from pellucid.cli.help_text import command_help

    return command_help(program, command)
