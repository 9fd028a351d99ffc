"""Reading the file a command is pointed at, or standard input for `-`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

STANDARD_INPUT = "-"
MAX_CHARACTERS = 10 * 1024 * 1024


class InputTooLarge(ValueError):
    """The input is longer than any configuration could be."""


def read_input(name: str, stdin: TextIO) -> str:
    """The text of file `name`, or of standard input when it is `-`.

    Raises OSError or UnicodeDecodeError as reading does, and InputTooLarge past 10 Mi characters.
    """
    if name == STANDARD_INPUT:
        text = stdin.read(MAX_CHARACTERS + 1)
    else:
        with open(name, encoding="utf-8") as stream:
            text = stream.read(MAX_CHARACTERS + 1)
    if len(text) > MAX_CHARACTERS:
        raise InputTooLarge(f"{name} is larger than {MAX_CHARACTERS} characters")
    return text
