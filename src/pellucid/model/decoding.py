"""Plain dicts (from JSON or HCL) to immutable values, as forgiving and as strict as Consul.

The struct's own type hints say what is wanted; there is no table to keep beside them.

- Keys match a field's Go name whatever the case, or its snake_case alias; unknown keys are errors.
- Types are weak (`weak_types`): a lone value also stands in for a list of one, and a list of
  one for its element. HCL needs this: there a block is a list of one map.
- Everything wrong is reported at once, in Consul's words; each error also carries what a
  person needs to mend it (`UnknownKey.advice`), which Consul's words do not.
- A struct whose input has older spellings defines a class method `before_decoding(data)` that
  returns the current one.

Used for config entries, agent configuration and service definitions alike.

Source: Consul 1.10 lib/decode (HookWeakDecodeFromSlice, HookTranslateKeys),
agent/structs/config_entry.go (DecodeConfigEntry); github.com/mitchellh/mapstructure.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from pellucid.model.go_text import errors_occurred, kind_name, quote
from pellucid.model.hcl import Key
from pellucid.model.weak_types import (
    TypeMismatch,
    as_bool,
    as_duration,
    as_float,
    as_int,
    as_str,
    as_timestamp,
    unconvertible,
)
from pellucid.model.wire import WireField, fields_of, plain_type

T = TypeVar("T", bound=msgspec.Struct)

_DEEPEST = 100
"""Levels of maps and lists in an opaque value: more than any use has, and safe to write again."""

_CLOSE_ENOUGH = 0.65
"""Least similarity (0 to 1) of a known key to be worth suggesting."""


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """A key that means nothing where it stands; `str()` is Consul's text for it."""

    path: str
    """Where it stands, such as `Sources[0].Bogus`."""
    nearest: str | None
    """The known key it most resembles."""
    place: str | None
    """The path of the map `nearest` belongs in, `""` for the top level; None if it is this one."""
    known: tuple[str, ...]
    """All keys that mean something here."""
    line: int | None = None
    """The line of the HCL text it stands on."""

    def __str__(self) -> str:
        if self.path.lower().endswith("namespace"):
            return f"invalid config key {quote(self.path)}, namespaces are a consul enterprise feature"
        return f"invalid config key {quote(self.path)}"

    @property
    def advice(self) -> str:
        """One line for a person: the key that was probably meant and where it goes."""
        if self.nearest is None:
            return f"known keys here: {', '.join(self.known)}"
        if self.place is None:
            return f"did you mean {quote(self.nearest)}?"
        where = f"inside {quote(self.place)}" if self.place else "at the top level"
        return f"did you mean {quote(self.nearest)} {where}?"


class DecodeError(ValueError):
    """The input does not fit; `str()` is Consul's text, `errors` has each fault on its own."""

    def __init__(self, text: str, errors: tuple[UnknownKey | TypeMismatch, ...] = ()) -> None:
        super().__init__(text)
        self.errors = errors

    @property
    def advice(self) -> tuple[str, ...]:
        """A line for each unknown key, such as `line 3: Protocl: did you mean "Protocol"?`."""
        unknown = [error for error in self.errors if isinstance(error, UnknownKey)]
        return tuple(f"{f'line {key.line}: ' if key.line else ''}{key.path}: {key.advice}" for key in unknown)


def decode(struct_type: type[T], data: Mapping[str, Any], *, ignore: Collection[str] = ()) -> T:
    """Make a `struct_type` of `data`.

    ignore: unknown top-level keys to pass over, spelt exactly so.
    Raises DecodeError naming every type that does not fit, or, if all fit, every unknown key.
    """
    reader = _Reader(struct_type, frozenset(ignore))
    try:
        value = reader.read_struct(struct_type, data, "")
    except TypeMismatch as mismatch:
        reader.mismatches.append(mismatch)
    mismatches, unknown = tuple(reader.mismatches), tuple(reader.unknown)
    if mismatches:
        points = "\n".join(sorted(f"* {mismatch}" for mismatch in mismatches))
        raise DecodeError(f"{len(mismatches)} error(s) decoding:\n\n{points}", mismatches + unknown)
    if unknown:
        raise DecodeError(errors_occurred(map(str, unknown)), unknown)
    return value


def unwrapped(value: Any) -> Any:
    """The element of a list of one; anything else as it is."""
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _opaque(value: Any, path: str, depth: int = 0) -> Any:
    """A value we attach no meaning to, with lists of one undone all the way down."""
    if depth > _DEEPEST:
        raise TypeMismatch(path, f"'{path}' is nested more than {_DEEPEST} levels deep")
    match unwrapped(value):
        case Mapping() as items:
            return {str(key): _opaque(item, path, depth + 1) for key, item in items.items()}
        case list() | tuple() as items:
            return [_opaque(item, path, depth + 1) for item in items]
        case int() | float() as number if not -(2**63) <= number < 2**64:
            return _as_float64(number, path)
        case scalar:
            return scalar


def _as_float64(number: float, path: str) -> float:
    """A number beyond 64-bit integers, as Go keeps it."""
    try:
        approximate = float(number)
    except OverflowError:
        approximate = math.inf
    if not math.isfinite(approximate):
        raise TypeMismatch(path, f"'{path}' holds a number that is out of range")
    return approximate


class _Reader:
    """One decoding: reads values by type and collects what does not fit."""

    def __init__(self, root: type[msgspec.Struct], ignore: frozenset[str]) -> None:
        self.root = root
        self.ignore = ignore
        self.mismatches: list[TypeMismatch] = []
        self.unknown: list[UnknownKey] = []

    def read_struct(self, struct_type: type[T], value: Any, path: str) -> T:
        data = unwrapped(value)
        if not isinstance(data, Mapping):
            raise TypeMismatch(path, f"'{path}' expected a map, got '{kind_name(data)}'")
        if upgrade := getattr(struct_type, "before_decoding", None):
            data = upgrade(data)
        given = self._fields_given(struct_type, data, path)
        values: dict[str, Any] = {}
        for field in fields_of(struct_type):
            content = given.get(field.name)
            if content is not None:
                self._read_into(
                    values, field.name, field.type, field.extra, content, _inside(path, field.key)
                )
            elif field.required:
                values[field.name] = None
                self.mismatches.append(TypeMismatch(path, f"'{_inside(path, field.key)}' is required"))
        return struct_type(**values)

    def _fields_given(
        self, struct_type: type[msgspec.Struct], data: Mapping[str, Any], path: str
    ) -> dict[str, Any]:
        """The contents of `data` by field name; keys that name no field are noted."""
        given: dict[str, Any] = {}
        taken: set[str] = set()
        for field in fields_of(struct_type):
            for key in _spellings(field, data):
                taken.add(key)
                given.setdefault(field.name, data[key])
        for key in data:
            if key not in taken and not (path == "" and key in self.ignore):
                self.unknown.append(self._unknown_key(struct_type, key, path))
        return given

    def _unknown_key(self, struct_type: type[msgspec.Struct], key: str, path: str) -> UnknownKey:
        known = tuple(field.key for field in fields_of(struct_type))
        nearest, place = _nearest(key, known), None
        if nearest is None:
            places = {name: where for name, where in _keys_below(self.root) if where != path}
            nearest = _nearest(key, tuple(places))
            place = places[nearest] if nearest else None
        line = key.line if isinstance(key, Key) else None
        return UnknownKey(_inside(path, key), nearest, place, known, line)

    def _read_into(
        self, values: Any, at: Any, kind: inspect.Type, extra: Mapping[str, Any], value: Any, path: str
    ) -> None:
        """Set `values[at]`, or note why not."""
        try:
            values[at] = self._read(kind, extra, value, path)
        except TypeMismatch as mismatch:
            self.mismatches.append(mismatch)

    def _read(self, kind: inspect.Type, extra: Mapping[str, Any], value: Any, path: str) -> Any:
        match kind:
            case inspect.VarTupleType() | inspect.ListType():
                return self._read_list(kind, value, path)
            case inspect.DictType():
                return self._read_map(kind, value, path)
            case inspect.StructType():
                return self.read_struct(kind.cls, value, path)
            case inspect.AnyType():
                return _opaque(value, path)
        return _read_scalar(kind, extra, unwrapped(value), path)

    def _read_list(self, kind: inspect.VarTupleType | inspect.ListType, value: Any, path: str) -> Any:
        if isinstance(value, Mapping) and not value:
            value = []
        items = value if isinstance(value, list | tuple) else [value]
        item_type, extra, _ = plain_type(kind.item_type)
        values: dict[int, Any] = {}
        for index, item in enumerate(items):
            self._read_into(values, index, item_type, extra, item, f"{path}[{index}]")
        return list(values.values()) if isinstance(kind, inspect.ListType) else tuple(values.values())

    def _read_map(self, kind: inspect.DictType, value: Any, path: str) -> dict[str, Any]:
        item_type, extra, _ = plain_type(kind.value_type)
        values: dict[str, Any] = {}
        for items in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(items, Mapping):
                raise TypeMismatch(path, f"'{path}' expected a map, got '{kind_name(value)}'")
            for key, item in items.items():
                self._read_into(values, str(key), item_type, extra, item, f"{path}[{key}]")
        return values


def _read_scalar(kind: inspect.Type, extra: Mapping[str, Any], value: Any, path: str) -> Any:
    match kind:
        case inspect.IntType():
            return as_duration(value, path) if "duration" in extra else as_int(value, path, kind.ge, kind.le)
        case inspect.StrType():
            return as_timestamp(value, path) if "timestamp" in extra else as_str(value, path)
        case inspect.BoolType():
            return as_bool(value, path)
        case inspect.FloatType():
            return as_float(value, path)
        case inspect.EnumType():
            return _read_enum(kind.cls, value, path)
    raise unconvertible(path, type(kind).__name__, value)


def _read_enum(enum_type: type[Enum], value: Any, path: str) -> Enum:
    try:
        return enum_type(value)
    except ValueError:
        choices = ", ".join(quote(str(member.value)) for member in enum_type)
        raise TypeMismatch(path, f"'{path}' must be one of {choices}, not {quote(str(value))}") from None


def _inside(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _spellings(field: WireField, data: Mapping[str, Any]) -> Iterator[str]:
    """The keys of `data` that give `field`, the one that counts first.

    The Go name, else one differing in case, wins over the alias, which is then passed over.
    A second spelling of the Go name itself is not yielded: it is an unknown key.
    """
    lowered = field.key.lower()
    by_name = [key for key in data if key.lower() == lowered]
    if by_name:
        yield field.key if field.key in data else by_name[0]
    if field.name != lowered:
        yield from (key for key in data if key.lower() == field.name)


def _folded(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def _nearest(key: str, known: tuple[str, ...]) -> str | None:
    """The known key most like `key`, if any is like it at all."""
    by_folded = {_folded(name): name for name in known}
    matches = difflib.get_close_matches(_folded(key), by_folded, n=1, cutoff=_CLOSE_ENOUGH)
    return by_folded[matches[0]] if matches else None


def _keys_below(struct_type: type[msgspec.Struct], path: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a struct and of the structs inside it, deepest first, with the path it belongs under."""
    for field in fields_of(struct_type):
        kind = field.type
        inner = _inside(path, field.key)
        while isinstance(kind, inspect.VarTupleType | inspect.ListType | inspect.DictType):
            kind, _, _ = plain_type(kind.value_type if isinstance(kind, inspect.DictType) else kind.item_type)
        if isinstance(kind, inspect.StructType):
            yield from _keys_below(kind.cls, inner)
    yield from ((field.key, path) for field in fields_of(struct_type))
