"""An entry survives every way of writing it down and reading it back."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model import hcl
from pellucid.model.config_entries import (
    CONFIG_ENTRY_TYPES,
    ConfigEntry,
    decode_config_entry,
    decode_stored,
    encode_entry,
    normalize,
    to_json_object,
)
from tests.model.strategies import structs

ENTRIES: st.SearchStrategy[ConfigEntry] = st.one_of(*map(structs, CONFIG_ENTRY_TYPES.values()))


def as_hcl(value: Any) -> str:
    """Write a decoded JSON value as HCL, with blocks for maps; HCL has no null, so nulls are left out."""
    match value:
        case dict():
            return f"{{ {as_hcl_body(value)} }}"
        case list():
            return f"[{', '.join(map(as_hcl, value))}]"
    return json.dumps(value, ensure_ascii=False)


def as_hcl_body(value: dict[str, Any]) -> str:
    items = []
    for key, content in value.items():
        if content is not None:
            equals = "" if isinstance(content, dict) else "= "
            items.append(f"{json.dumps(key, ensure_ascii=False)} {equals}{as_hcl(content)}")
    return "\n".join(items)


@given(ENTRIES)
def test_json_read_back_is_the_entry(entry: ConfigEntry) -> None:
    text = json.dumps(to_json_object(entry, create_index=1, modify_index=2))
    assert decode_config_entry(json.loads(text)) == entry


@given(ENTRIES)
def test_hcl_and_json_mean_the_same(entry: ConfigEntry) -> None:
    assert decode_config_entry(hcl.parse(as_hcl_body(to_json_object(entry)))) == entry


@given(ENTRIES)
def test_what_is_stored_is_the_entry(entry: ConfigEntry) -> None:
    assert decode_stored(entry.kind, encode_entry(entry)) == entry


@given(ENTRIES)
def test_a_stored_entry_names_its_own_kind(entry: ConfigEntry) -> None:
    assert msgspec.msgpack.decode(encode_entry(entry), type=ConfigEntry) == entry


@given(ENTRIES)
def test_the_normal_form_is_final(entry: ConfigEntry) -> None:
    assert normalize(normalize(entry)) == normalize(entry)


@pytest.mark.parametrize("kind", CONFIG_ENTRY_TYPES)
def test_the_stored_form_uses_our_own_names(kind: str) -> None:
    stored = msgspec.msgpack.decode(encode_entry(CONFIG_ENTRY_TYPES[kind]()))
    assert stored == {"kind": kind}
