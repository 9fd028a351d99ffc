"""Whatever is sent, the answer is an entry or a refusal, never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model import hcl
from pellucid.model.config_entries import (
    CONFIG_ENTRY_TYPES,
    ConfigEntry,
    ConfigEntryError,
    decode_config_entry,
    decode_stored,
    encode_entry,
    normalize,
    to_json_object,
    validate,
)
from pellucid.model.decoding import DecodeError
from pellucid.model.wire import fields_of
from tests.model.strategies import structs

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["1s", "*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KNOWN_KEYS = sorted({field.key for entry in CONFIG_ENTRY_TYPES.values() for field in fields_of(entry)})


def taken(data: dict[str, Any]) -> ConfigEntry | None:
    """The entry that is stored, or None if it was refused."""
    try:
        entry = normalize(decode_config_entry(data))
        validate(entry)
    except (DecodeError, ConfigEntryError):
        return None
    return entry


@given(
    st.sampled_from(list(CONFIG_ENTRY_TYPES)),
    st.dictionaries(st.sampled_from(KNOWN_KEYS), ANYTHING, max_size=4),
)
def test_any_content_is_taken_or_refused(kind: str, fields: dict[str, Any]) -> None:
    entry = taken({"Kind": kind, **fields})
    if entry is not None:
        assert decode_stored(kind, encode_entry(entry)) == entry
        assert json.dumps(to_json_object(entry))


@pytest.mark.parametrize("entry_type", CONFIG_ENTRY_TYPES.values())
@given(data=st.data())
def test_any_entry_is_valid_or_refused(entry_type: type[ConfigEntry], data: st.DataObject) -> None:
    entry = normalize(data.draw(structs(entry_type)))
    refusal = "none"
    try:
        validate(entry)
    except ConfigEntryError as error:
        refusal = str(error)
    assert refusal


@given(st.text(max_size=40) | st.text(st.sampled_from('ab1 ={}[]"$\\,#/*<\n'), max_size=40))
def test_any_text_is_read_or_pointed_at(text: str) -> None:
    try:
        found: Any = hcl.parse(text)
    except hcl.HclError as error:
        found = error
    assert isinstance(found, dict) or (found.line >= 1 and found.column >= 1)
