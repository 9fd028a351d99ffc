"""JSON request bodies read the way Go's `encoding/json` reads them, with its error texts.

Consul's HTTP API tells a client what is wrong with a body in the words of Go's decoder, and scripts
match those words. Two steps: `parse` turns text into plain values (a second, slower reader finds
the words when the text is malformed), `decode` fits them to a struct: field names match whatever
their case, or by snake_case alias; unknown fields and wrong types are errors; nothing is converted
but durations, which come as `"10s"` or as nanoseconds.

For the weak typing of files and config entries see `decoding`.
Source: Go 1.16 standard library, package `encoding/json` (scanner.go, decode.go, stream.go);
Consul 1.10 lib/json.go and the UnmarshalJSON methods of agent/structs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from pellucid.model.durations import parse_duration
from pellucid.model.go_text import quote
from pellucid.model.wire import WireField, fields_of, plain_type

T = TypeVar("T", bound=msgspec.Struct)


class GoJsonError(ValueError):
    """The body is not what is wanted; `str()` is what Go's decoder would say."""


def decode(body: bytes | str, wanted: type[T], *, unknown_fields: bool = False) -> T:
    """Read the first JSON value of `body` into a struct, as `json.NewDecoder(body).Decode` does.

    unknown_fields: True ignores fields the struct does not have (some endpoints do).
    What follows the first value is ignored. Raises GoJsonError.
    """
    value = parse(body)
    if value is None:
        return _struct_of(wanted, {})
    if not isinstance(value, Mapping):
        raise _misfit(value, "Go value", f"structs.{wanted.__name__}")
    return _Binder(ignore_unknown=unknown_fields).struct(value, wanted)


def parse(body: bytes | str) -> Any:
    """Read the first JSON value of `body` as plain values. Raises GoJsonError with Go's syntax error."""
    # Go replaces invalid UTF-8 inside strings instead of refusing it.
    text = body.decode("utf-8", errors="replace") if isinstance(body, bytes) else body
    try:
        value, _ = _DECODER.raw_decode(text, _skip_space(text, 0))
    except (ValueError, RecursionError) as error:
        raise GoJsonError(syntax_error(text)) from error
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def syntax_error(text: str) -> str:
    """Why Go would refuse `text`: `EOF` when there is nothing, else the offending character and place."""
    start = _skip_space(text, 0)
    if start == len(text):
        return "EOF"
    try:
        _Reader(text).value(start)
    except _Refused as refusal:
        return str(refusal)
    except RecursionError:
        return "exceeded max depth"
    return "invalid number: too many digits"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\r\n]*")


def _without_surrogates(value: Any) -> Any:
    """Half of a surrogate pair is no character: Go puts U+FFFD in its place, Python would keep it."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


class _Binder:
    """Fits plain values to types; the first misfit in the order of the document is the error."""

    def __init__(self, *, ignore_unknown: bool) -> None:
        self._ignore_unknown = ignore_unknown

    def _bind(self, value: Any, kind: inspect.Type, place: str) -> Any:
        """`place` is what an error says about where the value was to go."""
        match kind:
            case inspect.AnyType():
                return value
            case inspect.StructType() if isinstance(value, Mapping):
                return self.struct(value, kind.cls)
            case inspect.DictType() if isinstance(value, Mapping):
                return self._mapping(value, kind, place)
            case inspect.VarTupleType() if isinstance(value, list):
                item_type, _, _ = plain_type(kind.item_type)
                return tuple(self._item(item, item_type, place) for item in value)
            case _ if _is_scalar_of(value, kind):
                return float(value) if isinstance(kind, inspect.FloatType) else value
        raise _misfit(value, place, _go_type(kind))

    def struct(self, value: Mapping[str, Any], wanted: type[T]) -> T:
        if upgrade := getattr(wanted, "before_decoding", None):
            value = upgrade(value)
        by_key = _fields_by_key(wanted)
        found: dict[str, Any] = {}
        for key, content in value.items():
            field = by_key.get(key) or by_key.get(key.lower())
            if field is None:
                if self._ignore_unknown:
                    continue
                raise GoJsonError(f"json: unknown field {quote(key)}")
            if content is not None:
                found[field.name] = self._field(content, field)
        return _struct_of(wanted, found)

    def _field(self, content: Any, field: WireField) -> Any:
        if "duration" in field.extra:
            return _duration(content)
        return self._bind(content, field.type, f"Go struct field .{field.key}")

    def _item(self, item: Any, kind: inspect.Type, place: str) -> Any:
        return _zero(kind) if item is None else self._bind(item, kind, place)

    def _mapping(self, value: Mapping[str, Any], kind: inspect.DictType, place: str) -> dict[str, Any]:
        value_type, _, _ = plain_type(kind.value_type)
        return {key: self._item(item, value_type, place) for key, item in value.items()}


@cache
def _fields_by_key(struct_type: type[msgspec.Struct]) -> Mapping[str, WireField]:
    fields = fields_of(struct_type)
    return (
        {field.name: field for field in fields}
        | {field.key.lower(): field for field in fields}
        | {field.key: field for field in fields}
    )


def _is_scalar_of(value: Any, kind: inspect.Type) -> bool:
    match kind:
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return _is_number(value) and isinstance(value, int) and -(2**63) <= value < 2**63
        case inspect.FloatType():
            return _is_number(value)
    return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _duration(content: Any) -> int:
    """Nanoseconds of text or of a number; Consul's decoders take any other type for 0.

    Raises GoJsonError with the words of Go's time.ParseDuration.
    """
    if isinstance(content, str):
        try:
            return parse_duration(content)
        except ValueError as error:
            raise GoJsonError(str(error)) from error
    return int(content) if _is_number(content) else 0


def _misfit(value: Any, place: str, go_type: str) -> GoJsonError:
    return GoJsonError(f"json: cannot unmarshal {_described(value)} into {place} of type {go_type}")


def _described(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case float():
            return f"number {json.dumps(value)}"
        case int():
            return "number" if -(2**63) <= value < 2**63 else f"number {value}"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _struct_of(wanted: type[T], found: Mapping[str, Any]) -> T:
    """A struct with what was found; a field without a default is Go's zero value otherwise."""
    missing = {
        field.name: _zero(field.type)
        for field in fields_of(wanted)
        if field.required and field.name not in found
    }
    return wanted(**missing, **found)


def _zero(kind: inspect.Type) -> Any:
    match kind:
        case inspect.StrType():
            return ""
        case inspect.BoolType():
            return False
        case inspect.IntType() | inspect.FloatType():
            return 0
        case inspect.StructType():
            return _struct_of(kind.cls, {})
        case inspect.VarTupleType():
            return ()
    return None


def _go_type(kind: inspect.Type) -> str:
    """How Go names the type in an error."""
    match kind:
        case inspect.StrType():
            return "string"
        case inspect.BoolType():
            return "bool"
        case inspect.IntType():
            return "int"
        case inspect.FloatType():
            return "float64"
        case inspect.VarTupleType():
            return f"[]{_go_type(plain_type(kind.item_type)[0])}"
        case inspect.DictType():
            return f"map[string]{_go_type(plain_type(kind.value_type)[0])}"
        case inspect.StructType():
            return f"structs.{kind.cls.__name__}"
    return "interface {}"


class _Refused(Exception):
    """Carries Go's words for the first offending character."""


class _Reader:
    """Walks malformed JSON as Go's scanner does, to name the character Go would stop at."""

    _LITERALS = ("true", "false", "null")

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, at: int) -> int:
        """Read a value that starts at `at`; returns where it ends."""
        match self._peek(at):
            case "{":
                return self._object(at + 1)
            case "[":
                return self._array(at + 1)
            case '"':
                return self._string(at + 1)
            case character if character == "-" or _is_digit(character):
                return self._number(at)
            case character:
                for literal in self._LITERALS:
                    if character == literal[0]:
                        return self._literal(at, literal)
                raise self._refusal(at, "looking for beginning of value")

    def _object(self, at: int) -> int:
        at = _skip_space(self._text, at)
        if self._peek(at) == "}":
            return at + 1
        while True:
            at = _skip_space(self._text, at)
            if self._peek(at) != '"':
                raise self._refusal(at, "looking for beginning of object key string")
            at = _skip_space(self._text, self._string(at + 1))
            if self._peek(at) != ":":
                raise self._refusal(at, "after object key")
            at = _skip_space(self._text, self.value(_skip_space(self._text, at + 1)))
            if self._peek(at) == "}":
                return at + 1
            if self._peek(at) != ",":
                raise self._refusal(at, "after object key:value pair")
            at += 1

    def _array(self, at: int) -> int:
        at = _skip_space(self._text, at)
        if self._peek(at) == "]":
            return at + 1
        while True:
            at = _skip_space(self._text, self.value(_skip_space(self._text, at)))
            if self._peek(at) == "]":
                return at + 1
            if self._peek(at) != ",":
                raise self._refusal(at, "after array element")
            at += 1

    def _string(self, at: int) -> int:
        while True:
            character = self._peek(at)
            if character == '"':
                return at + 1
            if character < " ":
                raise self._refusal(at, "in string literal")
            at = self._escape(at + 1) if character == "\\" else at + 1

    def _escape(self, at: int) -> int:
        character = self._peek(at)
        if character == "u":
            for place in range(at + 1, at + 5):
                if self._peek(place) not in "0123456789abcdefABCDEF":
                    raise self._refusal(place, "in \\u hexadecimal character escape")
            return at + 5
        if character not in 'bfnrt\\/"':
            raise self._refusal(at, "in string escape code")
        return at + 1

    def _number(self, at: int) -> int:
        if self._peek(at) == "-":
            at = self._digit(at + 1, "in numeric literal") - 1
        # Go ends a number that starts with 0 after that digit.
        at = at + 1 if self._text[at] == "0" else self._digits(at)
        if self._text[at : at + 1] == ".":
            at = self._digits(self._digit(at + 1, "after decimal point in numeric literal"))
        if self._text[at : at + 1] in ("e", "E"):
            sign = self._text[at + 1 : at + 2] in ("+", "-")
            at = self._digits(self._digit(at + 1 + sign, "in exponent of numeric literal"))
        return at

    def _digit(self, at: int, place: str) -> int:
        if not _is_digit(self._peek(at)):
            raise self._refusal(at, place)
        return at + 1

    def _digits(self, at: int) -> int:
        while _is_digit(self._text[at : at + 1]):
            at += 1
        return at

    def _literal(self, at: int, literal: str) -> int:
        for offset, expected in enumerate(literal):
            if self._peek(at + offset) != expected:
                raise self._refusal(at + offset, f"in literal {literal} (expecting '{expected}')")
        return at + len(literal)

    def _peek(self, at: int) -> str:
        if at < len(self._text):
            return self._text[at]
        raise _Refused("unexpected EOF")

    def _refusal(self, at: int, place: str) -> _Refused:
        return _Refused(f"invalid character {_quoted(self._text[at])} {place}")


def _is_digit(character: str) -> bool:
    return len(character) == 1 and character in "0123456789"


def _quoted(character: str) -> str:
    """A character in single quotes with Go's escapes."""
    special = {"'": "'\\''", '"': "'\"'", "\n": "'\\n'", "\t": "'\\t'", "\r": "'\\r'"}
    if character in special:
        return special[character]
    return f"'{character}'" if character.isprintable() else f"'\\x{ord(character):02x}'"
