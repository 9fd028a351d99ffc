"""Durations are read and written as Go does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.model.durations import DurationError, format_duration, parse_duration

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("-0", 0),
        ("10s", 10 * SECOND),
        ("1h30m", 5400 * SECOND),
        ("250ms", 250_000_000),
        ("1.5s", 1_500_000_000),
        (".5s", 500_000_000),
        ("5.s", 5 * SECOND),
        ("+3m", 180 * SECOND),
        ("-1m30s", -90 * SECOND),
        ("7us", 7_000),
        ("7µs", 7_000),
        ("7μs", 7_000),
        ("12ns", 12),
        ("1h1h", 7200 * SECOND),
    ],
)
def test_text_is_read_as_nanoseconds(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("+-1s", 'time: invalid duration "+-1s"'),
        ("s", 'time: invalid duration "s"'),
        (".s", 'time: invalid duration ".s"'),
        ("soon", 'time: invalid duration "soon"'),
        ("10", 'time: missing unit in duration "10"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("10d", 'time: unknown unit "d" in duration "10d"'),
        ("1s 2s", 'time: unknown unit "s " in duration "1s 2s"'),
        ("2562048h", 'time: invalid duration "2562048h"'),
        (f"{'9' * 5000}h", f'time: invalid duration "{"9" * 5000}h"'),
    ],
)
def test_anything_else_is_refused_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(DurationError) as refusal:
        parse_duration(text)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (300_000_000, "300ms"),
        (15 * SECOND, "15s"),
        (90 * SECOND, "1m30s"),
        (3605 * SECOND, "1h0m5s"),
        (72 * 3600 * SECOND, "72h0m0s"),
        (1_000_000_001, "1.000000001s"),
        (-SECOND, "-1s"),
    ],
)
def test_nanoseconds_are_written_with_the_largest_fitting_units(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_what_is_written_reads_back_as_the_same(nanoseconds: int) -> None:
    assert parse_duration(format_duration(nanoseconds)) == nanoseconds
