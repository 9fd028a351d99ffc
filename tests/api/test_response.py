from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pellucid.api.response import (
    HttpError,
    bad_request,
    go_list,
    indented,
    json_bytes,
    sorted_map,
)

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_json_escapes_what_go_escapes() -> None:
    assert json_bytes({"a": "<b>&\u2028\u2029"}) == b'{"a":"\\u003cb\\u003e\\u0026\\u2028\\u2029"}'


@given(JSON_VALUES)
def test_json_means_what_was_written(value: object) -> None:
    written = json_bytes(value)
    assert json.loads(written) == value
    assert not set(b"<>&") & set(written)


@given(JSON_VALUES)
def test_indenting_changes_only_space(value: object) -> None:
    assert json.loads(indented(json_bytes(value))) == value


def test_indented_json_has_four_spaces_and_a_final_newline() -> None:
    assert indented(b'{"a":[1],"b":{},"c":[]}') == (
        b'{\n    "a": [\n        1\n    ],\n    "b": {},\n    "c": []\n}\n'
    )


def test_maps_are_sorted_at_every_depth() -> None:
    assert list(sorted_map({"b": {"d": 1, "c": 2}, "a": [{"z": 1, "y": 2}]})["b"]) == ["c", "d"]
    assert json_bytes(sorted_map({"b": 1, "a": [{"z": 1, "y": 2}]})) == b'{"a":[{"y":2,"z":1}],"b":1}'


def test_an_empty_go_list_is_null() -> None:
    assert go_list(()) is None
    assert go_list(("a",)) == ["a"]


def test_an_error_without_text_has_no_content_type() -> None:
    response = HttpError(404, "").response()
    assert (response.status, response.body, response.content_type) == (404, b"", "")


def test_the_bad_request_type_is_prefixed() -> None:
    assert bad_request("no").response().body == b"Bad request: no"
