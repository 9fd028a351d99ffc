"""Hypothesis strategies for any struct of the model, made from its type hints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from pellucid.model.wire import WireField, fields_of, plain_type

T = TypeVar("T", bound=msgspec.Struct)

# Text without "$", because HCL reads "${" as the start of an interpolation.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=8)
TIMESTAMPS = st.sampled_from(["", "2026-11-23T21:18:45.408059046Z", "2020-02-29T00:00:00+01:00"])
WEIGHTS = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)
SCALARS = (
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6).map(lambda x: round(x, 3)) | TEXT
)
OPAQUE = st.recursive(
    SCALARS,
    # A list of one is read as its element, so none is made.
    lambda inner: st.lists(inner, min_size=2, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def structs(struct_type: type[T]) -> st.SearchStrategy[T]:
    """Values of a struct with all kinds of contents."""
    return st.builds(struct_type, **{field.name: _contents(field) for field in fields_of(struct_type)})


def _contents(field: WireField) -> st.SearchStrategy[Any]:
    if field.type == inspect.StrType() and field.name == "protocol":
        return st.sampled_from(["tcp", "http", "http2", "grpc"])
    contents = _values(field.type, field.extra)
    return st.none() | contents if field.nullable else contents


def _values(kind: inspect.Type, extra: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.StructType():
            return structs(kind.cls)
        case inspect.VarTupleType():
            return st.lists(_values(*plain_type(kind.item_type)[:2]), max_size=2).map(tuple)
        case inspect.DictType():
            return st.dictionaries(TEXT, _values(*plain_type(kind.value_type)[:2]), max_size=2)
        case inspect.IntType():
            low = kind.ge if kind.ge is not None else -(2**53)
            return st.integers(low, kind.le if kind.le is not None else 2**53)
        case inspect.StrType():
            return TIMESTAMPS if "timestamp" in extra else TEXT
        case inspect.BoolType():
            return st.booleans()
        case inspect.FloatType():
            return WEIGHTS
    return OPAQUE
