"""Command-line flags by the rules of Go's `flag` package, which Consul's CLI follows.

The rules differ from every Python parser's: `-flag value`, `-flag=value` and `--flag` are the same
thing, a boolean takes its value only after `=`, parsing stops at the first word that is not a flag
(or after `--`), and flags cannot be bundled. Bending click to that means replacing its parser, its
error texts, its exit codes and its help, and click alone takes 34 ms to import, so this small parser
stands alone.

Pure: words in, `FlagValues` out. Source: Go's `flag` package documentation, "Command line flag syntax".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Literal

    Kind = Literal["text", "boolean", "integer", "list", "pairs"]
    Value = str | bool | int | tuple[str, ...] | dict[str, str]

TRUE_WORDS = frozenset({"1", "t", "T", "TRUE", "true", "True"})
FALSE_WORDS = frozenset({"0", "f", "F", "FALSE", "false", "False"})
HELP_WORDS = frozenset({"h", "help"})
LARGEST_INTEGER = 2**63 - 1


class FlagError(ValueError):
    """The words do not fit the flags. The text is Go's, ready to print."""


class HelpRequested(Exception):
    """`-h`, `-help` or `--help` was among the flags."""


@dataclass(frozen=True)
class Flag:
    """One flag a command accepts.

    kind: `text`, `boolean`, `integer`, `list` (may be given several times) or `pairs` (several
    `key=value`).
    default: the value when the flag is absent; None means the kind's empty value.
    """

    name: str
    help: str
    kind: Kind = "text"
    default: Value | None = None
    placeholder: str = "value"
    into: str = ""
    """Name of another `list` flag that collects this one's values too, so that their order is kept."""
    separator: str = "="
    """Between key and value of `pairs`."""


class FlagValues:
    """What a command line said, with the defaults filled in, read by the type a flag was declared with."""

    def __init__(self, flags: Iterable[Flag], said: Mapping[str, Value]) -> None:
        self._values: dict[str, Value] = {flag.name: _initial(flag) for flag in flags} | dict(said)
        self._said = frozenset(said)

    def given(self, name: str) -> bool:
        """Say whether the command line named the flag."""
        return name in self._said

    def has(self, name: str) -> bool:
        """Say whether the command declares the flag at all."""
        return name in self._values

    def value(self, name: str) -> Value:
        """The value of any flag."""
        return self._values[name]

    def text(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str), name
        return value

    def boolean(self, name: str) -> bool:
        value = self._values[name]
        assert isinstance(value, bool), name
        return value

    def integer(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int), name
        return value

    def list(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        assert isinstance(value, tuple), name
        return value

    def pairs(self, name: str) -> dict[str, str]:
        value = self._values[name]
        assert isinstance(value, dict), name
        return dict(value)


def parse(flags: Sequence[Flag], words: Sequence[str]) -> tuple[FlagValues, tuple[str, ...]]:
    """Split `words` into the flags' values and the positional arguments after them.

    Raises FlagError with Go's text, and HelpRequested when help is asked for and is not itself a flag.
    """
    known = {flag.name: flag for flag in flags}
    said: dict[str, Value] = {}
    position = 0
    while position < len(words):
        word = words[position]
        if len(word) < 2 or not word.startswith("-"):
            break
        position += 1
        if word == "--":
            break
        name, separator, text = _split(word)
        flag = known.get(name)
        if flag is None:
            if name in HELP_WORDS:
                raise HelpRequested
            raise FlagError(f"flag provided but not defined: -{name}")
        if flag.kind == "boolean":
            said[name] = _boolean(name, text) if separator else True
            continue
        if not separator:
            if position == len(words):
                raise FlagError(f"flag needs an argument: -{name}")
            text = words[position]
            position += 1
        target = flag.into or name
        said[target] = _read(flag, text, said.get(target))
    return FlagValues(flags, said), tuple(words[position:])


def _split(word: str) -> tuple[str, str, str]:
    body = word[2:] if word.startswith("--") else word[1:]
    if not body or body[0] in "-=":
        raise FlagError(f"bad flag syntax: {word}")
    return body.partition("=")


def _initial(flag: Flag) -> Value:
    if flag.default is not None:
        return flag.default
    empty: dict[str, Value] = {"text": "", "boolean": False, "integer": 0, "list": ()}
    return empty.get(flag.kind, {})


def _boolean(name: str, text: str) -> bool:
    if text in TRUE_WORDS:
        return True
    if text in FALSE_WORDS:
        return False
    raise FlagError(f"invalid boolean value {_quoted(text)} for -{name}: parse error")


def _read(flag: Flag, text: str, before: Value | None) -> Value:
    """Turn the text after a flag into its value; `before` is what earlier uses of it collected."""
    match flag.kind:
        case "integer":
            return _integer(flag.name, text)
        case "list":
            return (*(before if isinstance(before, tuple) else ()), text)
        case "pairs":
            key, _, value = text.partition(flag.separator)
            return {**(before if isinstance(before, dict) else {}), key: value}
        case _:
            return text


def _integer(name: str, text: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        raise FlagError(f"invalid value {_quoted(text)} for flag -{name}: parse error") from None
    if not -LARGEST_INTEGER - 1 <= number <= LARGEST_INTEGER:
        raise FlagError(f"invalid value {_quoted(text)} for flag -{name}: value out of range")
    return number


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
