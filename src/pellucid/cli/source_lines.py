"""On which line of an HCL or JSON text a key stands.

The decoder works on plain dicts, which know no lines; when it complains about `Sources[1].Bogus`, a
person wants the line. This walks the text once, after it is known to be well-formed, and notes where
every key and list element begins. Pure.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
    (?P<skip>[\s]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
  | (?P<heredoc><<-?(?P<anchor>\w+)\r?\n.*?^[ \t]*(?P=anchor)$)
  | (?P<string>"(?:\\.|[^"\\])*")
  | (?P<mark>[{}\[\],=:])
  | (?P<word>[^\s{}\[\],=:"]+)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_PATH = re.compile(r"[A-Z]\w*(?:\[\d+\])?(?:\.\w+(?:\[\d+\])?)*")


def line_numbers(text: str) -> dict[str, int]:
    """The line (from 1) of each path in `text`; look up with `line_of`."""
    return _Walk(text).lines


def line_of(path: str, lines: dict[str, int]) -> int | None:
    """The line of a path such as `Sources[1].Bogus` in any spelling, if the text has it."""
    return lines.get(_canonical(path))


def mentioned(message: str, lines: dict[str, int]) -> list[tuple[str, int]]:
    """The paths that an error message names and the text has, each with its line."""
    found = [(path, line_of(path, lines)) for path in dict.fromkeys(_PATH.findall(message))]
    return [(path, line) for path, line in found if line is not None]


def _canonical(path: str) -> str:
    """One spelling for all: case and underscores do not count, and a lone element is its list."""
    return path.replace("[0]", "").replace("_", "").lower()


class _Walk:
    """One pass over the tokens, keeping the path of the place it is at."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, int] = {}
        self._tokens = [
            (match.lastgroup or "", match.group(), text.count("\n", 0, match.start()) + 1)
            for match in _TOKEN.finditer(text)
            if match.lastgroup != "skip"
        ]
        self._at = 0
        if self._peek() == "{":
            self._at += 1
        self._items("")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _items(self, path: str) -> None:
        """Key-value pairs and blocks up to the closing brace (or the end)."""
        blocks: dict[str, int] = {}
        while self._at < len(self._tokens) and self._peek() != "}":
            if self._peek() == ",":
                self._at += 1
                continue
            line = self._tokens[self._at][2]
            inner = path
            while self._at < len(self._tokens) and self._peek() not in ("=", ":", "{", "}"):
                inner = f"{inner}.{self._peek().strip(chr(34))}" if inner else self._peek().strip('"')
                self._note(inner, line)
                self._at += 1
            if self._peek() in ("=", ":"):
                self._at += 1
                self._value(inner)
            elif self._peek() == "{":
                number = blocks.get(inner, 0)
                blocks[inner] = number + 1
                self._note(f"{inner}[{number}]", line)
                self._value(f"{inner}[{number}]")
        self._at += 1

    def _value(self, path: str) -> None:
        opening, self._at = self._peek(), self._at + 1
        if opening == "{":
            self._items(path)
        elif opening == "[":
            number = 0
            while self._at < len(self._tokens) and self._peek() != "]":
                if self._peek() == ",":
                    self._at += 1
                    continue
                self._note(f"{path}[{number}]", self._tokens[self._at][2])
                self._value(f"{path}[{number}]")
                number += 1
            self._at += 1

    def _note(self, path: str, line: int) -> None:
        self.lines.setdefault(_canonical(path), line)
