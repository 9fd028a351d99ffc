"""What a field is called outside the program, and when it is written.

Values have Python's names inside (`connect_timeout_ms`); Consul's users write Go's
(`ConnectTimeoutMs`) or the snake_case alias, which is the Python name. The Go name follows
from the Python one by convention: words are capitalised, and words that Go writes in
capitals (`HTTP`, `SNI`, `ID`) are known by list. A struct that sets msgspec's `rename`
keeps its own names.

`decoding` reads by this table and `encoding` writes by it.

Source: Consul 1.10 agent/structs (field names, `alias` and `json` tags).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import inspect

_T = TypeVar("_T")

AlwaysWritten: TypeAlias = Annotated[_T, msgspec.Meta(extra={"always_written": True})]
"""A field that JSON shows even when it is empty; others are left out then."""

Timestamp: TypeAlias = Annotated[str, msgspec.Meta(extra={"timestamp": True})]
"""A moment as RFC 3339 text with up to nine decimals, `""` when unset."""

UInt32: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
UInt64: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

_CAPITALS = {
    *("acl", "api", "ca", "csr", "dns", "grpc", "http", "id", "ip", "json"),
    *("ns", "rpc", "sni", "tcp", "tls", "ttl", "udp", "url"),
}


@dataclass(frozen=True, slots=True)
class WireField:
    """One field of a struct as the outside sees it."""

    name: str
    """Python attribute, and the snake_case alias."""
    key: str
    """Go name, as documentation and JSON have it."""
    type: inspect.Type
    """Type without metadata and without None."""
    extra: Mapping[str, Any]
    """Annotations: `always_written`, `duration` (see `durations`), `timestamp`."""
    nullable: bool
    required: bool

    @property
    def always_written(self) -> bool:
        """True if JSON shows the field even when it is empty."""
        return bool(self.extra.get("always_written"))


@cache
def fields_of(struct_type: type[msgspec.Struct]) -> tuple[WireField, ...]:
    """The fields of a struct, in the order they are written."""
    info = inspect.type_info(struct_type)
    assert isinstance(info, inspect.StructType)
    return tuple(map(_wire_field, info.fields))


def _wire_field(field: inspect.Field) -> WireField:
    kind, extra, nullable = plain_type(field.type)
    return WireField(
        name=field.name,
        key=field.encode_name if field.encode_name != field.name else go_name(field.name),
        type=kind,
        extra=extra,
        nullable=nullable,
        required=field.required,
    )


def go_name(name: str) -> str:
    """The Go name of a Python one: `external_sni` is `ExternalSNI`."""
    return "".join(word.upper() if word in _CAPITALS else word.capitalize() for word in name.split("_"))


def plain_type(kind: inspect.Type) -> tuple[inspect.Type, dict[str, Any], bool]:
    """A type without its wrappings, the annotations found on the way, and whether None is allowed."""
    extra: dict[str, Any] = {}
    nullable = False
    while True:
        match kind:
            case inspect.Metadata():
                extra |= kind.extra or {}
                kind = kind.type
            case inspect.UnionType(types=types) if kind.includes_none and len(types) == 2:
                nullable = True
                kind = next(member for member in types if not isinstance(member, inspect.NoneType))
            case _:
                return kind, extra, nullable
