"""Command-line flags as helm reads them: `--flag value`, `--flag=value`, `-f value`, anywhere on the line.

Pure: words in, `Said` out. Source: the pflag package's documentation; its error texts.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Value = str | bool | int | float | tuple[str, ...]

Kind = Literal["text", "boolean", "integer", "number", "duration", "list", "comma list"]

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h)")
_PART = re.compile(r"([\d.]+)(\D+)")


class UsageError(ValueError):
    """The words do not fit the command. The text is helm's, ready to print."""


@dataclass(frozen=True)
class Flag:
    """One flag.

    kind: `list` takes one value each time it is given, `comma list` several with commas between;
    `duration` is Go's (`5m0s`), kept in seconds.
    bare: the value of a flag that is given without one; empty if it needs one. Such a flag takes a value
    only after `=`.
    """

    name: str
    help: str
    kind: Kind = "text"
    default: Value | None = None
    short: str = ""
    bare: str = ""

    def shown(self) -> str:
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"

    def needs_value(self) -> bool:
        return self.kind != "boolean" and not self.bare


class Said:
    """What a command line said, with defaults filled in, read by the kind a flag was declared with."""

    def __init__(self, flags: Iterable[Flag], said: Mapping[str, Value]) -> None:
        self._values = {flag.name: _initial(flag) for flag in flags} | dict(said)
        self._said = frozenset(said)

    def given(self, name: str) -> bool:
        """Say whether the command line named the flag."""
        return name in self._said

    def text(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str), name
        return value

    def boolean(self, name: str) -> bool:
        """False too for a flag that the command does not have."""
        return self._values.get(name, False) is True

    def integer(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int), name
        return value

    def number(self, name: str) -> float:
        value = self._values[name]
        assert isinstance(value, int | float), name
        return float(value)

    def whole_seconds(self, name: str) -> int:
        """A duration in seconds, rounded up: the engine counts whole ones, and 0 means its default."""
        return max(1, math.ceil(self.number(name)))

    def list(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        assert isinstance(value, tuple), name
        return value


def parse(
    flags: Sequence[Flag], words: Sequence[str], absent: frozenset[str] = frozenset()
) -> tuple[Said, tuple[str, ...]]:
    """Flags and arguments of a command line.

    absent: names of helm's flags that this program does not take; they are refused with that reason.
    Raises UsageError.
    """
    by_name = {flag.name: flag for flag in flags}
    by_letter = {flag.short: flag for flag in flags if flag.short}
    said: dict[str, Value] = {}
    arguments: list[str] = []
    left = list(words)

    def take(flag: Flag, value: str | None, shown: str) -> None:
        if value is None and flag.needs_value():
            if not left:
                raise UsageError(f"flag needs an argument: {shown}")
            value = left.pop(0)
        read = _read(flag, value if value is not None else flag.bare or "true")
        before = said.get(flag.name)
        said[flag.name] = before + read if isinstance(before, tuple) and isinstance(read, tuple) else read

    while left:
        word = left.pop(0)
        if word == "--":
            return Said(flags, said), (*arguments, *left)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name in absent:
                raise UsageError(f"--{name} is a flag of helm's that this program does not have")
            if name not in by_name:
                raise UsageError(f"unknown flag: --{name}")
            take(by_name[name], value if equals else None, f"--{name}")
        elif word.startswith("-") and word != "-":
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter not in by_letter:
                    raise UsageError(f"unknown shorthand flag: {letter!r} in {word}")
                flag, shown = by_letter[letter], f"{letter!r} in {word}"
                if letters.startswith("="):
                    take(flag, letters[1:], shown)
                    letters = ""
                elif flag.needs_value() and letters:
                    take(flag, letters, shown)
                    letters = ""
                else:
                    take(flag, None, shown)
        else:
            arguments.append(word)
    return Said(flags, said), tuple(arguments)


def seconds(text: str) -> float:
    """A duration of Go's (`1h30m`, `5m0s`, `500ms`, `0`) in seconds. Raises ValueError."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    parts = _DURATION.findall(rest)
    if not parts or "".join(parts) != rest:
        raise ValueError(f"time: invalid duration {_quoted(text)}")
    return sign * sum(float(number) * _UNITS[unit] for number, unit in map(_split, parts))


def _split(part: str) -> tuple[str, str]:
    match = _PART.fullmatch(part)
    assert match is not None, part
    return match[1], match[2]


def _read(flag: Flag, text: str) -> Value:
    try:
        return _value(flag.kind, text)
    except ValueError as error:
        raise UsageError(f'invalid argument {_quoted(text)} for "{flag.shown()}" flag: {error}') from None


def _value(kind: Kind, text: str) -> Value:
    match kind:
        case "boolean":
            if text not in _TRUE | _FALSE:
                raise ValueError(f"strconv.ParseBool: parsing {_quoted(text)}: invalid syntax")
            return text in _TRUE
        case "integer":
            if not re.fullmatch(r"[+-]?\d+", text):
                raise ValueError(f"strconv.ParseInt: parsing {_quoted(text)}: invalid syntax")
            return int(text)
        case "number":
            try:
                return float(text)
            except ValueError:
                raise ValueError(f"strconv.ParseFloat: parsing {_quoted(text)}: invalid syntax") from None
        case "duration":
            return seconds(text)
        case "list":
            return (text,)
        case "comma list":
            return tuple(part for part in text.split(",") if part)
        case "text":
            return text


def _initial(flag: Flag) -> Value:
    if flag.default is not None:
        return flag.default
    empty: dict[Kind, Value] = {"boolean": False, "integer": 0, "number": 0.0, "duration": 0.0, "text": ""}
    return empty.get(flag.kind, ())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
