"""A configuration entry as a file: read, decoded, and complained about with its line numbers.

What Consul would print comes first and unchanged; the lines after it say where in the file the fault is
and what was probably meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.cli.command import CommandFailed
from pellucid.cli.input_file import STANDARD_INPUT, read_input
from pellucid.cli.source_lines import line_numbers, line_of, mentioned
from pellucid.model.config_entries import decode_config_entry, to_json_object
from pellucid.model.decoding import DecodeError, UnknownKey
from pellucid.model.hcl import HclError, parse

if TYPE_CHECKING:
    from typing import TextIO

IGNORED_KEYS = ("Namespace", "namespace")
REFUSED = "Failed to decode config entry input: "


@dataclass(frozen=True)
class EntryFile:
    """An entry ready to be sent. `file` and `text` are where it came from, for messages."""

    kind: str
    name: str
    """As the file says it, even where the agent will store the entry under another name."""
    body: dict[str, Any]
    file: str
    text: str

    def places(self, message: str) -> str:
        """A line for each part of the file that the agent's error message names; may be empty."""
        found = mentioned(message, line_numbers(self.text))
        return "".join(f"\n{self.file}:{line}: {path} is here" for path, line in found)


def read_entry(argument: str, stdin: TextIO) -> EntryFile:
    """Read and decode the entry in file `argument`, or on standard input for `-`. Raises CommandFailed."""
    try:
        text = read_input(argument, stdin)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CommandFailed(f"Failed to load data: Failed to read file: open {argument}: {reason}") from None
    except ValueError as error:
        raise CommandFailed(f"Failed to load data: Failed to read file: {error}") from None
    file = "standard input" if argument == STANDARD_INPUT else argument
    try:
        written = parse(text)
        entry = decode_config_entry(written, ignore=IGNORED_KEYS)
    except HclError as error:
        raise CommandFailed(f"{REFUSED}{REFUSED}{error}\n\n{_excerpt(error, file, text)}") from None
    except DecodeError as error:
        raise CommandFailed(f"{REFUSED}{error}{_advice(error, file, text)}") from None
    name = _said_name(written) or ("mesh" if entry.kind == "mesh" else "")
    return EntryFile(entry.kind, name, to_json_object(entry), file, text)


def _said_name(written: dict[str, Any]) -> str:
    return str(next((value for key, value in written.items() if key.lower() == "name"), ""))


def _excerpt(error: HclError, file: str, text: str) -> str:
    """The faulty line with a mark under the column."""
    lines = text.splitlines()
    line = lines[error.line - 1] if 0 < error.line <= len(lines) else ""
    return f"{file}:{error.line}:{error.column}: {error.reason}\n  {line}\n  {' ' * (error.column - 1)}^"


def _advice(error: DecodeError, file: str, text: str) -> str:
    """Where each fault is and what may have been meant; empty when there is nothing to add."""
    lines = line_numbers(text)
    advice = []
    for fault in error.errors:
        line = line_of(fault.path, lines)
        place = f"{file}:{line}" if line else file
        hint = fault.advice if isinstance(fault, UnknownKey) else "the value does not fit"
        advice.append(f"{place}: {fault.path}: {hint}")
    return "".join(f"\n{entry}" for entry in advice)
