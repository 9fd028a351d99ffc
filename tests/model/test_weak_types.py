"""Scalars stand in for each other as they do for Consul."""

from __future__ import annotations

from typing import Any

import pytest

from pellucid.model.weak_types import (
    TypeMismatch,
    as_bool,
    as_duration,
    as_float,
    as_int,
    as_str,
    as_timestamp,
)


@pytest.mark.parametrize("value", [True, 1, -2, 0.5, "true", "True", "TRUE", "t", "T", "1"])
def test_what_counts_as_true(value: Any) -> None:
    assert as_bool(value, "X") is True


@pytest.mark.parametrize("value", [False, 0, 0.0, "", "false", "F", "0"])
def test_what_counts_as_false(value: Any) -> None:
    assert as_bool(value, "X") is False


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (True, "1"), (False, "0"), (8080, "8080"), (1.5, "1.5"), (2.0, "2")]
)
def test_scalars_as_text(value: Any, text: str) -> None:
    assert as_str(value, "X") == text


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        (7.0, 7),
        (True, 1),
        ("", 0),
        ("42", 42),
        ("-42", -42),
        ("0x2A", 42),
        ("052", 42),
        ("0b101010", 42),
    ],
)
def test_scalars_as_integers(value: Any, number: int) -> None:
    assert as_int(value, "X") == number


@pytest.mark.parametrize(
    ("value", "number"), [(7, 7.0), ("", 0.0), ("33.33", 33.33), ("1e2", 100.0), (True, 1.0)]
)
def test_scalars_as_fractions(value: Any, number: float) -> None:
    assert as_float(value, "X") == number


def test_a_duration_is_text_with_units_or_a_number_of_nanoseconds() -> None:
    assert as_duration("1m", "X") == as_duration(60_000_000_000, "X") == 60_000_000_000


@pytest.mark.parametrize("text", ["2026-11-23T21:18:45.408059046Z", "2026-11-23T21:18:45+01:00"])
def test_a_timestamp_keeps_its_text(text: str) -> None:
    assert as_timestamp(text, "X") == text


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (as_bool, "x", """cannot parse 'X' as bool: strconv.ParseBool: parsing "x": invalid syntax"""),
        (
            as_bool,
            {},
            "'X' expected type 'bool', got unconvertible type 'map[string]interface {}', value: 'map[]'",
        ),
        (
            as_str,
            ["a", 1],
            "'X' expected type 'string', got unconvertible type '[]interface {}', value: '[a 1]'",
        ),
        (as_int, "x", """cannot parse 'X' as int: strconv.ParseInt: parsing "x": invalid syntax"""),
        (
            as_int,
            "9223372036854775808",
            "cannot parse 'X' as int: strconv.ParseInt: parsing \"9223372036854775808\": value out of range",
        ),
        (as_int, 2**63, "cannot parse 'X', 9223372036854775808 overflows int"),
        (as_int, 1.5, "'X' expected type 'int', got unconvertible type 'float64', value: '1.5'"),
        (
            as_int,
            {"a": 1},
            "'X' expected type 'int', got unconvertible type 'map[string]interface {}', value: 'map[a:1]'",
        ),
        (as_float, "nan", """cannot parse 'X' as float: strconv.ParseFloat: parsing "nan": invalid syntax"""),
        (as_duration, "10", """error decoding 'X': time: missing unit in duration "10\""""),
        (
            as_timestamp,
            "yesterday",
            """error decoding 'X': parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": """
            """cannot parse "yesterday" as "2006\"""",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_consuls_words(read: Any, value: Any, message: str) -> None:
    with pytest.raises(TypeMismatch) as refusal:
        read(value, "X")
    assert (str(refusal.value), refusal.value.path) == (message, "X")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1", """cannot parse 'X' as uint: strconv.ParseUint: parsing "-1": invalid syntax"""),
        (
            "4294967296",
            """cannot parse 'X' as uint: strconv.ParseUint: parsing "4294967296": value out of range""",
        ),
        (-1, "cannot parse 'X', -1 overflows uint"),
        ([1, 2], "'X' expected type 'uint32', got unconvertible type '[]interface {}', value: '[1 2]'"),
    ],
)
def test_unsigned_integers_have_their_own_bounds_and_words(value: Any, message: str) -> None:
    with pytest.raises(TypeMismatch) as refusal:
        as_int(value, "X", 0, 2**32 - 1)
    assert str(refusal.value) == message


@pytest.mark.parametrize("text", ["9" * 5_000, "0x" + "f" * 5_000])
def test_endless_digits_are_out_of_range(text: str) -> None:
    with pytest.raises(TypeMismatch, match="value out of range"):
        as_int(text, "X")
