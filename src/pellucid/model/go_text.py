"""How Go prints things, because Consul's texts are made by Go's formatting verbs.

Scripts and tests compare those texts, so ours must come out the same to the letter.

Source: Go standard library, packages `strconv` (Quote) and `fmt` (`%v`);
github.com/hashicorp/go-multierror (ListFormatFunc).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def quote(text: str) -> str:
    """The text in double quotes with Go's escapes, as `%q` prints it."""
    return f'"{"".join(map(_quoted_character, text))}"'


def _quoted_character(character: str) -> str:
    if escape := _ESCAPES.get(character):
        return escape
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def errors_occurred(messages: Iterable[str]) -> str:
    """Several errors as one text: a count, one starred line each, a blank line."""
    lines = [f"* {message}" for message in messages]
    noun = "error" if len(lines) == 1 else "errors"
    return f"{len(lines)} {noun} occurred:\n\t" + "\n\t".join(lines) + "\n\n"


def value_text(value: Any) -> str:
    """A decoded JSON value as `%v` prints it: `map[a:1]`, `[x y]`, `true`, `<nil>`."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer() and abs(value) < 1e21:
            return str(int(value))
        case Mapping():
            return f"map[{' '.join(f'{key}:{value_text(value[key])}' for key in sorted(value))}]"
        case str():
            return value
        case Sequence():
            return f"[{' '.join(map(value_text, value))}]"
    return str(value)


def kind_name(value: Any) -> str:
    """The reflect.Kind of a decoded JSON value: `bool`, `float64`, `string`, `slice`, `map`."""
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "float64"
        case str():
            return "string"
        case Mapping():
            return "map"
        case Sequence():
            return "slice"
    return "invalid"


def type_name(value: Any) -> str:
    """The Go type of a decoded JSON value, such as `map[string]interface {}`."""
    composite = {"map": "map[string]interface {}", "slice": "[]interface {}"}
    kind = kind_name(value)
    return composite.get(kind, kind)
