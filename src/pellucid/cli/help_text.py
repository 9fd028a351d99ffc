"""Help as text: of the program, of a group of commands, and of one command.

Layout follows Consul's: a usage line, indented paragraphs, then the flags by section.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pellucid.cli.command import Command
    from pellucid.cli.go_flags import Flag

WIDTH = 80


def program_help(program: str, synopses: Mapping[str, str]) -> str:
    """The top help: every first-level command with its one-line synopsis."""
    return (
        f"Usage: {program} [--version] [--help] <command> [<args>]\n\n"
        f"Available commands are:\n{_listing(synopses)}"
    )


def group_help(program: str, name: str, about: str, synopses: Mapping[str, str]) -> str:
    """The help of a command that only holds others."""
    return (
        f"Usage: {program} {name} <subcommand> [options] [args]\n\n"
        f"{_paragraphs(about, program)}\n\n"
        f"Subcommands:\n\n{_listing(synopses)}"
    )


def command_help(program: str, command: Command) -> str:
    """The help of one command: usage, what it does, its flags."""
    from pellucid.cli.http_settings import CLIENT_FLAGS, NAMESPACE_FLAGS, SERVER_FLAGS

    shared = (
        (CLIENT_FLAGS if command.takes_client else ())
        + (SERVER_FLAGS if command.takes_server else ())
        + (NAMESPACE_FLAGS if command.takes_namespace else ())
    )
    sections = [
        f"Usage: {program} {command.usage}".replace("{program}", program),
        _paragraphs(command.about, program),
    ]
    if shared:
        sections.append(_flags("HTTP API Options", shared))
    if command.flags:
        sections.append(_flags("Command Options", command.flags))
    return "\n\n".join(sections)


def _listing(synopses: Mapping[str, str]) -> str:
    width = max(map(len, synopses), default=0)
    return "\n".join(f"    {name.ljust(width)}    {text}" for name, text in sorted(synopses.items()))


def _paragraphs(text: str, program: str) -> str:
    """Indent paragraphs by two spaces; a paragraph that is itself indented is an example, kept as written."""
    paragraphs = text.strip("\n").replace("{program}", program).split("\n\n")
    return "\n\n".join(
        textwrap.indent(paragraph, "  ")
        if paragraph.startswith(" ")
        else textwrap.fill(paragraph, WIDTH, initial_indent="  ", subsequent_indent="  ")
        for paragraph in paragraphs
    )


def _flags(title: str, flags: Sequence[Flag]) -> str:
    return "\n\n".join([title, *(_flag(flag) for flag in sorted(flags, key=lambda flag: flag.name))])


def _flag(flag: Flag) -> str:
    placeholder = "" if flag.kind == "boolean" else f"=<{flag.placeholder}>"
    about = textwrap.fill(flag.help, WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5)
    return f"  -{flag.name}{placeholder}\n{about}"
