"""Which scalar stands in for which: `"true"` for a boolean, `1` for `"1"`, `"8080"` for a port.

Each function turns a decoded JSON or HCL value into one Python scalar or raises `TypeMismatch`
with Consul's words. `path` is where the value stands, such as `Sources[0].Name`.

Stricter than Consul in one point: a number with a fraction is no integer.

Source: github.com/mitchellh/mapstructure (WeaklyTypedInput), Go package `strconv`.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from pellucid.model.durations import DurationError, parse_duration
from pellucid.model.go_text import quote, type_name, value_text

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<binary>[01]+)"
    r"|0[oO]?(?P<octal>[0-7]+)|(?P<decimal>[0-9]+))"
)
_FLOAT = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BASES = {"hex": 16, "binary": 2, "octal": 8, "decimal": 10}
_MOST_DIGITS = 65
"""More than any 64-bit integer has in any base: digits from there on are not worth reading."""
_INT64 = (-(2**63), 2**63 - 1)


class TypeMismatch(ValueError):
    """A value of the wrong type at `path`; `str()` is Consul's text for it."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text)
        self.path = path


def unconvertible(path: str, wanted: str, value: Any) -> TypeMismatch:
    """The error for a value that no weak typing makes a `wanted`."""
    return TypeMismatch(
        path,
        f"'{path}' expected type '{wanted}', got unconvertible type '{type_name(value)}', "
        f"value: '{value_text(value)}'",
    )


def as_bool(value: Any, path: str) -> bool:
    """A boolean, a number (true unless 0), or text such as `true`, `F`, `1`; empty text is false."""
    match value:
        case bool() | int() | float():
            return bool(value)
        case str() if value in _TRUE:
            return True
        case str() if value in _FALSE or not value:
            return False
        case str():
            raise TypeMismatch(
                path,
                f"cannot parse '{path}' as bool: strconv.ParseBool: parsing {quote(value)}: invalid syntax",
            )
    raise unconvertible(path, "bool", value)


def as_str(value: Any, path: str) -> str:
    """Text, a number as text, or a boolean as `1` or `0`."""
    match value:
        case bool():
            return "1" if value else "0"
        case str():
            return value
        case int() | float():
            return value_text(value)
    raise unconvertible(path, "string", value)


def as_float(value: Any, path: str) -> float:
    """A number, a boolean as 1 or 0, or text that spells a number; empty text is 0."""
    match value:
        case bool() | int():
            return float(value)
        case float() if math.isfinite(value):
            return value
        case str() if not value or _FLOAT.fullmatch(value):
            return as_float(float(value or "0"), path)
        case str():
            raise TypeMismatch(
                path,
                f"cannot parse '{path}' as float: strconv.ParseFloat: parsing {quote(value)}: invalid syntax",
            )
    raise unconvertible(path, "float64", value)


def as_int(value: Any, path: str, minimum: int | None = None, maximum: int | None = None) -> int:
    """A whole number, a boolean as 1 or 0, or text in Go's notation (`42`, `0x2A`); empty text is 0.

    A `minimum` of 0 makes it one of Go's unsigned types, which `maximum` names.
    """
    unsigned = minimum == 0
    low, high = (0, maximum if maximum is not None else 2**64 - 1) if unsigned else _INT64
    match value:
        case bool():
            return int(value)
        case str():
            return _parsed_int(value, path, low, high)
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case _:
            raise unconvertible(path, f"uint{high.bit_length()}" if unsigned else "int", value)
    if not low <= number <= high:
        raise TypeMismatch(path, f"cannot parse '{path}', {number} overflows {'uint' if unsigned else 'int'}")
    return number


def _parsed_int(text: str, path: str, low: int, high: int) -> int:
    kind, function = ("uint", "ParseUint") if low == 0 else ("int", "ParseInt")
    prefix = f"cannot parse '{path}' as {kind}: strconv.{function}: parsing {quote(text)}"
    match = _INTEGER.fullmatch(text or "0")
    if match is None or (match["sign"] and low == 0):
        raise TypeMismatch(path, f"{prefix}: invalid syntax")
    base = next(name for name in _BASES if match[name] is not None)
    digits = match[base].lstrip("0")[:_MOST_DIGITS] or "0"
    number = int(digits, _BASES[base]) * (-1 if match["sign"] == "-" else 1)
    if not low <= number <= high:
        raise TypeMismatch(path, f"{prefix}: value out of range")
    return number


def as_duration(value: Any, path: str) -> int:
    """Text such as `1m30s`, or a number of nanoseconds."""
    if not isinstance(value, str):
        return as_int(value, path)
    try:
        return parse_duration(value)
    except DurationError as error:
        raise TypeMismatch(path, f"error decoding '{path}': {error}") from None


def as_timestamp(value: Any, path: str) -> str:
    """A moment as RFC 3339 text, kept as written so that nanoseconds survive."""
    text = as_str(value, path)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text:
        raise TypeMismatch(
            path,
            f"error decoding '{path}': parsing time {quote(text)} as {quote('2006-01-02T15:04:05Z07:00')}: "
            f"cannot parse {quote(text)} as {quote('2006')}",
        )
    return text
