"""HCL 1 as Consul's users write it becomes plain dicts; malformed text is pointed at."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model.hcl import HclError, Key, parse

WALKTHROUGH_DEFAULTS = """\
Kind = "proxy-defaults"
Name = "global"

TransparentProxy = true
"""


def test_assignments_become_keys_and_values() -> None:
    assert parse(WALKTHROUGH_DEFAULTS) == {
        "Kind": "proxy-defaults",
        "Name": "global",
        "TransparentProxy": True,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"text"', "text"),
        ("42", 42),
        ("-1.5e3", -1500.0),
        ("0x1F", 31),
        ("017", 15),
        ("true", True),
        ("false", False),
        ("[]", []),
        ('["a", "b",]', ["a", "b"]),
        ("[1, [2], true]", [1, [2], True]),
        ("[{ a = 1 b = 2 }, { a = 3 }]", [{"a": 1, "b": 2}, {"a": 3}]),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert parse(f"key = {text}") == {"key": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a \"b\" \\ \n\t"', 'a "b" \\ \n\t'),
        (r'"\x41 \u00e9 \U0001F600 \101"', "A é 😀 A"),
        ('"${env.HOME} and ${ "x" }"', '${env.HOME} and ${ "x" }'),
        ('"$5"', "$5"),
    ],
)
def test_strings_know_escapes_but_nothing_is_interpolated(text: str, value: str) -> None:
    assert parse(f"key = {text}") == {"key": value}


def test_a_block_is_a_list_of_one_map_with_or_without_equals_sign() -> None:
    assert parse("TLS { Enabled = true }") == {"TLS": [{"Enabled": True}]}
    assert parse("TLS = { Enabled = true }") == {"TLS": [{"Enabled": True}]}


def test_repeated_blocks_are_gathered() -> None:
    gathered = {"Sources": [{"Name": "a"}, {"Name": "b"}]}
    assert parse('Sources { Name = "a" }\nSources { Name = "b" }') == gathered
    assert parse('Sources = [{ Name = "a" }, { Name = "b" }]') == gathered


def test_labels_become_nested_maps() -> None:
    assert parse('Subsets "v1" "x" { Filter = "f" }') == {"Subsets": [{"v1": [{"x": [{"Filter": "f"}]}]}]}


def test_the_last_of_repeated_values_counts() -> None:
    assert parse("a = 1\na = 2") == {"a": 2}


def test_items_need_no_separator_but_may_have_commas() -> None:
    assert parse('Kind = "mesh" TransparentProxy { MeshDestinationsOnly = true, }') == {
        "Kind": "mesh",
        "TransparentProxy": [{"MeshDestinationsOnly": True}],
    }


def test_keys_may_be_quoted_and_may_hold_dots_and_dashes() -> None:
    assert parse('"a key" = 1\nb.c-d = 2') == {"a key": 1, "b.c-d": 2}


def test_comments_of_three_kinds_are_passed_over() -> None:
    assert parse("# one\na = 1 // two\n/* three\nlines */ b = 2 # end") == {"a": 1, "b": 2}


def test_a_heredoc_keeps_its_lines() -> None:
    assert parse("a = <<EOF\n  one\n\ntwo # no comment\nEOF\nb = 1") == {
        "a": "  one\n\ntwo # no comment\n",
        "b": 1,
    }


def test_an_indented_heredoc_loses_the_closing_anchors_indentation() -> None:
    assert parse("a = <<-EOF\n    one\n\n      two\n    EOF\n") == {"a": "one\n\n  two\n"}


def test_an_indented_heredoc_with_a_line_further_left_stays_as_it_is() -> None:
    assert parse("a = <<-EOF\n  one\n    EOF\n") == {"a": "  one\n"}


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm() -> None:
    assert parse("\ufeffa = 1\r\nb = <<EOF\r\nx\r\nEOF\r\n") == {"a": 1, "b": "x\n"}


def test_text_that_starts_with_a_brace_is_json() -> None:
    assert parse(' \n{"Kind": "mesh", "List": [{"a": null}]}') == {"Kind": "mesh", "List": [{"a": None}]}


def test_keys_know_where_they_stand() -> None:
    keys = list(parse('a = 1\n  "b" {}\n'))
    assert [(key, key.line, key.column) for key in keys if isinstance(key, Key)] == [("a", 1, 1), ("b", 2, 3)]


def test_empty_text_is_an_empty_map() -> None:
    assert parse("  # nothing here\n") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('Kind = "mesh"\n\n}', "At 3:1: unexpected '}'"),
        ("= 1", "At 1:1: unexpected '=', expected a key"),
        ("a = [1 2]", "At 1:8: unexpected '2', expected ',' or ']'"),
        ("a b = 1", "At 1:5: unexpected '=', expected '{' or a key"),
        ("a = yes", "At 1:5: unexpected 'yes', expected '[' or '{' or a value"),
        ("a: 1", "At 1:2: illegal character ':'"),
        ("a {\n  b = 1\n", "At 3:1: unexpected end of text"),
        ("a =", "At 1:4: unexpected end of text"),
        ('\na = "x\ny"', "At 2:5: literal not terminated"),
        ("a = <<EOF\nx\n", "At 1:5: heredoc not terminated"),
        ("/* a", "At 1:1: comment not terminated"),
        ("a = 08", "At 1:5: illegal number 08"),
        (r'a = "\q"', "At 1:5: illegal char escape"),
        (r'a = "\ud800"', "At 1:5: illegal char escape"),
        ('{\n  "a": 1\n  "b": 2\n}', "At 3:3: Expecting ',' delimiter"),
    ],
)
def test_malformed_text_is_refused_with_line_and_column(text: str, message: str) -> None:
    with pytest.raises(HclError) as refusal:
        parse(text)
    assert str(refusal.value) == message
    assert message.startswith(f"At {refusal.value.line}:{refusal.value.column}: {refusal.value.reason}")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 20_000 + "]" * 20_000,
        "a = {" * 5_000 + "}" * 5_000,
    ],
)
def test_deep_nesting_is_read(text: str) -> None:
    assert set(parse(text)) == {"a"}


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * 100_000,
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        '{"a": [' + "1" * 5_000,
        "a = " + "1" * 5_000,
        'a = "' + "${" * 50_000,
    ],
)
def test_hostile_text_is_an_error_and_not_a_crash(text: str) -> None:
    with pytest.raises(HclError):
        parse(text)
