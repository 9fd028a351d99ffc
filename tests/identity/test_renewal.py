"""When leaves are renewed."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pellucid.identity.renewal import (
    renewal_time,
    renewal_time_after_root_change,
)
from tests.identity.clock import HOUR_S, NOW

ROUNDING_S = 1e-3
"""More than the last digit of a time in floating point."""
RANDOMS = st.randoms(use_true_random=False)


@given(RANDOMS, st.floats(3600, 8760 * HOUR_S))
def test_leaf_is_renewed_between_60_and_90_per_cent_of_its_life(random: Random, ttl_s: float) -> None:
    due = renewal_time(NOW, NOW + ttl_s, random)
    assert 0.6 * ttl_s - ROUNDING_S <= due - NOW <= 0.9 * ttl_s + ROUNDING_S


def test_renewals_of_leaves_issued_together_are_spread() -> None:
    random = Random(1)
    dues = [renewal_time(NOW, NOW + 72 * HOUR_S, random) for _ in range(1000)]
    tenths = [
        sum(0.6 + i * 0.03 <= (due - NOW) / (72 * HOUR_S) < 0.63 + i * 0.03 for due in dues)
        for i in range(10)
    ]
    assert min(tenths) > 50


@given(RANDOMS, st.floats(0, 72 * HOUR_S))
def test_root_change_brings_renewal_forward_to_within_30_seconds(random: Random, remaining_s: float) -> None:
    due = renewal_time_after_root_change(NOW, NOW + remaining_s, random)
    assert 0 <= due - NOW <= min(30, remaining_s) + ROUNDING_S
