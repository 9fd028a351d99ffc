"""What a command is, and what it is given when it runs.

A `Command` is a value: its usage line, its help text, its flags and the function that does the work.
The function receives an `Invocation` (parsed flags, arguments, environment and the three standard
streams) and returns its exit code, or raises `CommandFailed`. Nothing here does I/O of its own beyond
writing to those streams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.cli.client_errors import ClientError
from pellucid.cli.go_flags import Flag, FlagValues

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from pellucid.cli.http_client import ConsulClient

COLOURS = {"red": "31", "green": "32", "yellow": "33"}

FORMAT = Flag(
    "format",
    "How to print the answer: pretty (the default, for reading) or json (for programs).",
    default="pretty",
    placeholder="pretty|json",
)


class CommandFailed(Exception):
    """The command ends here: `text` goes to standard error, `exit_code` to the shell."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.exit_code = exit_code


class UsageFailed(CommandFailed):
    """As CommandFailed, and the command's help follows the text."""


class Attempt:
    """`with Attempt("Error leaving"):` ends the command with that text before the reason of a ClientError."""

    def __init__(self, complaint: str) -> None:
        self._complaint = complaint

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            advice = f"\n{error.advice}" if error.advice else ""
            raise CommandFailed(f"{self._complaint}: {error}{advice}") from None


@dataclass(frozen=True)
class Command:
    """One command of the table.

    usage: what follows the program's name in the usage line, e.g. `config write [options] FILE`.
    about: paragraphs for the help, separated by blank lines; indented lines are kept as written.
    takes_client: accepts the HTTP API flags; takes_server: also -datacenter and -stale;
    takes_namespace: also -namespace.
    flag_error_code: exit code of a bad flag.
    runs_program: words after the first argument belong to another program, so a `-h` there is not ours.
    own_grammar: every word after its name is an argument, flags and `-h` too; the command reads them itself.
    """

    usage: str
    about: str
    run: Callable[[Invocation], int]
    flags: tuple[Flag, ...] = ()
    takes_client: bool = True
    takes_server: bool = False
    takes_namespace: bool = False
    flag_error_code: int = 1
    runs_program: bool = False
    own_grammar: bool = False

    def all_flags(self) -> tuple[Flag, ...]:
        """The command's own flags and the shared ones it accepts."""
        if not (self.takes_client or self.takes_server or self.takes_namespace):
            return self.flags
        from pellucid.cli.http_settings import CLIENT_FLAGS, NAMESPACE_FLAGS, SERVER_FLAGS

        return (
            self.flags
            + (CLIENT_FLAGS if self.takes_client else ())
            + (SERVER_FLAGS if self.takes_server else ())
            + (NAMESPACE_FLAGS if self.takes_namespace else ())
        )


@dataclass(frozen=True)
class Terminal:
    """The three standard streams, and whether a person reads them."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    colour: bool = False

    def paint(self, text: str, colour: str) -> str:
        """Colour `text` for a person; programs get it plain."""
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.colour else text


@dataclass(frozen=True)
class Invocation:
    """One run of a command: everything it may look at, and where it writes."""

    program: str
    flags: FlagValues
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    terminal: Terminal

    def output(self, text: str) -> None:
        """Write a line of result to standard output."""
        self.terminal.stdout.write(text + "\n")

    def error(self, text: str) -> None:
        """Write a line of complaint to standard error."""
        self.terminal.stderr.write(text + "\n")

    def output_json(self, value: Any, indent: int | str = 4) -> None:
        """Write a value as JSON, keys in the order the server sent them."""
        import json

        self.output(json.dumps(value, indent=indent, ensure_ascii=False))

    def wants_json(self) -> bool:
        """Read the `-format` flag. Raises CommandFailed for a format that does not exist."""
        chosen = self.flags.text("format")
        if chosen not in ("pretty", "json"):
            raise CommandFailed(f"Unknown format {chosen!r} for -format: use pretty or json.")
        return chosen == "json"

    def client(self) -> ConsulClient:
        """A client for the agent that flags and environment name. Raises CommandFailed."""
        from pellucid.cli.http_client import ConsulClient
        from pellucid.cli.http_settings import SettingsError, http_settings

        try:
            settings = http_settings(self.flags, self.environment)
        except SettingsError as error:
            raise CommandFailed(f"Error connecting to Consul agent: {error}") from None
        return ConsulClient(settings, notice=self.error)

    def scope(self) -> dict[str, str]:
        """The query parameters of -datacenter, -stale and -namespace, as far as the command has them."""
        from pellucid.cli.http_settings import scope_parameters

        return scope_parameters(self.flags, self.environment)
