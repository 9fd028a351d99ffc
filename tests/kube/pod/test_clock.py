"""How the clock here and the server's compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.kube.pod.clock import TOLERATED, clock_problem

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TOLERATED_S = int(TOLERATED.total_seconds())


@given(st.integers(-TOLERATED_S, TOLERATED_S))
def test_what_is_tolerated_says_nothing(away_s: int) -> None:
    assert clock_problem(format_datetime(NOW + timedelta(seconds=away_s), usegmt=True), NOW) == ""


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(minutes=6), "6 minutes behind the server's"),
        (timedelta(minutes=-90), "90 minutes ahead of the server's"),
        (timedelta(days=400), "9600 hours behind the server's"),
    ],
)
def test_what_is_not_is_told_with_its_side(away: timedelta, words: str) -> None:
    assert words in clock_problem(format_datetime(NOW + away, usegmt=True), NOW)


@pytest.mark.parametrize("dated", ["", "yesterday", "Wed, 31 Feb 2026 12:00:00 GMT"])
def test_a_date_that_is_none_says_nothing(dated: str) -> None:
    assert clock_problem(dated, NOW) == ""
