"""Quantities: their value, their one form, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.localkube.types.quantities import QuantityError, canonical, quantity


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1e3", "1e3"),
        ("100e3", "100e3"),
        ("0Gi", "0"),
        ("512", "512"),
        ("-1Mi", "-1Mi"),
        ("0.0000000001", "1n"),
        ("64M", "64M"),
        ("+2", "2"),
    ],
)
def test_a_quantity_has_one_form(given: str, shown: str) -> None:
    assert canonical(given) == shown


SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2"]


@given(st.integers(-(10**6), 10**6), st.integers(0, 999), st.sampled_from(SUFFIXES))
def test_its_form_is_its_own_and_says_the_same_but_for_less_than_a_billionth(
    whole: int, part: int, suffix: str
) -> None:
    text = f"{whole}.{part:03}{suffix}"
    shown = canonical(text)
    assert 0 <= quantity(shown) - quantity(text) < quantity("1n")
    assert canonical(shown) == shown


@pytest.mark.parametrize("text", ["", "much", "1.2.3", "1 Gi", "1Q", "Mi", "1e", "1kk", "1e99999999", "0x10"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(QuantityError):
        canonical(text)
