"""What is wrong with a field, in the API's words.

Source: apimachinery's pkg/util/validation/field; values are shown as Go's `%#v` shows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pellucid.localkube.api.status import Cause

Object = dict[str, Any]
Causes = Iterator[Cause]


def required(field: str, why: str = "") -> Cause:
    """The field has no value."""
    return Cause(field, f"Required value: {why}" if why else "Required value", "FieldValueRequired")


def bad(field: str, value: Any, why: str) -> Cause:
    """The field's value is not allowed."""
    return Cause(field, f"Invalid value: {shown(value)}: {why}", "FieldValueInvalid")


def unsupported(field: str, value: Any, supported: Sequence[str]) -> Cause:
    """The field's value is none of the possible ones, which are told in the order given."""
    listed = ", ".join(f'"{one}"' for one in supported)
    message = f"Unsupported value: {shown(value)}: supported values: {listed}"
    return Cause(field, message, "FieldValueNotSupported")


def duplicate(field: str, value: Any) -> Cause:
    """The value must occur once."""
    return Cause(field, f"Duplicate value: {shown(value)}", "FieldValueDuplicate")


def forbidden(field: str, why: str) -> Cause:
    """The field may not be set, or not be changed, here."""
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def missing(field: str, value: str) -> Cause:
    """The field names something that is not there."""
    return Cause(field, f"Not found: {shown(value)}", "FieldValueNotFound")


def too_long(field: str, limit: int) -> Cause:
    """The value has more bytes than it may."""
    return Cause(field, f"Too long: must have at most {limit} bytes", "FieldValueTooLong")


def one_of(field: str, value: Any, supported: Sequence[str]) -> Causes:
    """Unsupported, unless the value is one of the possible ones or not there."""
    if value is not None and value not in supported:
        yield unsupported(field, value, supported)


def not_negative(field: str, value: Any) -> Causes:
    """Invalid below zero."""
    if isinstance(value, int) and value < 0:
        yield bad(field, value, "must be greater than or equal to 0")


class Shown(str):
    """A text that is shown as it stands, because it already is as Go would show the value."""


def shown(value: Any) -> str:
    """A value as it occurs in a message."""
    match value:
        case Shown():
            return str(value)
        case {} if all(isinstance(one, str) for one in value.values()):
            pairs = ", ".join(f"{_json(key)}:{_json(value[key])}" for key in sorted(value))
            return f"map[string]string{{{pairs}}}"
        case [*items] if all(isinstance(one, str) for one in items):
            return f"[]string{{{', '.join(map(_json, items))}}}"
    return _json(value)


def shown_selector(selector: Mapping[str, Any]) -> Shown:
    """A label selector as it occurs in a message."""
    labels = shown(selector["matchLabels"]) if selector.get("matchLabels") else "map[string]string(nil)"
    listed = [
        f"v1.LabelSelectorRequirement{{Key:{_json(one.get('key', ''))}, "
        f"Operator:{_json(one.get('operator', ''))}, Values:{_strings(one.get('values'))}}}"
        for one in selector.get("matchExpressions") or ()
    ]
    kind = "[]v1.LabelSelectorRequirement"
    expressions = f"{kind}{{{', '.join(listed)}}}" if listed else f"{kind}(nil)"
    return Shown(f"v1.LabelSelector{{MatchLabels:{labels}, MatchExpressions:{expressions}}}")


def shown_int_or_string(value: int | str) -> Shown:
    """A number or text such as `25%` as it occurs in a message."""
    if isinstance(value, int):
        return Shown(f'intstr.IntOrString{{Type:0, IntVal:{value}, StrVal:""}}')
    return Shown(f"intstr.IntOrString{{Type:1, IntVal:0, StrVal:{_json(value)}}}")


def _strings(values: Sequence[str] | None) -> str:
    return shown(list(values)) if values else "[]string(nil)"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
