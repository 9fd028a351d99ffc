"""Values and errors are printed as Go prints them."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model.go_text import errors_occurred, quote, type_name, value_text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("web", '"web"'),
        ('a "b"', r'"a \"b\""'),
        ("a\\b\n\t", r'"a\\b\n\t"'),
        ("héllo €", '"héllo €"'),
        ("\x01\x7f", r'"\x01\x7f"'),
        ("\u200b", r'"\u200b"'),
        ("\U000e0001", r'"\U000e0001"'),
    ],
)
def test_text_is_quoted_with_gos_escapes(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_one_error_is_singular() -> None:
    assert errors_occurred(["a"]) == "1 error occurred:\n\t* a\n\n"


def test_several_errors_are_one_starred_line_each() -> None:
    assert errors_occurred(["a", "b"]) == "2 errors occurred:\n\t* a\n\t* b\n\n"


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (None, "<nil>", "invalid"),
        (True, "true", "bool"),
        (5, "5", "float64"),
        (5.0, "5", "float64"),
        (0.5, "0.5", "float64"),
        ("x y", "x y", "string"),
        ([1, "a"], "[1 a]", "[]interface {}"),
        ({"b": 1, "a": [True]}, "map[a:[true] b:1]", "map[string]interface {}"),
    ],
)
def test_decoded_values_have_gos_text_and_type(value: Any, text: str, kind: str) -> None:
    assert (value_text(value), type_name(value)) == (text, kind)
