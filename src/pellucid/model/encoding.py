"""Values to JSON objects, in Consul's shape: Go's names, Go's order, Go's omissions.

A field is left out when it is empty (`json:",omitempty"`), unless it is `AlwaysWritten`.
A struct is never empty in Go's eyes and is written even if it comes out as `{}`;
one that may be None is left out when it is.

Source: Consul 1.10 agent/structs; Go standard library, package `encoding/json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pellucid.model.durations import format_duration
from pellucid.model.wire import WireField, fields_of


def json_object(value: msgspec.Struct) -> dict[str, Any]:
    """The JSON object of a value: plain dicts, lists and scalars, keys in Go's order."""
    written: dict[str, Any] = {}
    for field in fields_of(type(value)):
        content = getattr(value, field.name)
        if field.always_written or not _is_left_out(field, content):
            written[field.key] = _written(field, content)
    return written


def _is_left_out(field: WireField, content: Any) -> bool:
    if field.nullable:
        return content is None
    return not isinstance(content, msgspec.Struct) and not content


def _written(field: WireField, content: Any) -> Any:
    if field.extra.get("duration") == "text":
        return format_duration(content)
    if content == () and not field.nullable:
        return None  # an empty Go slice that was never set
    return _json_value(content)


def _json_value(content: Any) -> Any:
    match content:
        case msgspec.Struct():
            return json_object(content)
        case str():
            return str(content)
        case Mapping():
            return {key: _json_value(item) for key, item in content.items()}
        case tuple() | list():
            return [_json_value(item) for item in content]
        case float() if content.is_integer():
            return int(content)
    return content
