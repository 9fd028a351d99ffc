"""When leaves are renewed, and how fast certificates may be signed."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pellucid.identity.renewal import (
    CSR_MAX_PER_SECOND,
    SigningBudget,
    renewal_time,
    renewal_time_after_refusal,
    renewal_time_after_root_change,
    take_signature,
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


@given(RANDOMS)
def test_refused_renewal_is_retried_within_30_seconds(random: Random) -> None:
    assert NOW <= renewal_time_after_refusal(NOW, random) <= NOW + 30


def signatures_at_once(budget: SigningBudget, now: float) -> tuple[int, SigningBudget]:
    """How many signatures need no waiting at this instant."""
    count = 0
    while True:
        after, wait_s = take_signature(budget, now)
        if wait_s != 0:
            return count, budget
        count, budget = count + 1, after


def test_fifty_signatures_a_second_and_no_more() -> None:
    count, spent = signatures_at_once(SigningBudget(at=NOW), NOW)
    assert count == CSR_MAX_PER_SECOND
    assert signatures_at_once(spent, NOW + 0.5)[0] == CSR_MAX_PER_SECOND / 2
    assert signatures_at_once(spent, NOW + 60)[0] == CSR_MAX_PER_SECOND


def test_short_queue_waits_and_a_long_one_is_refused() -> None:
    _, budget = signatures_at_once(SigningBudget(at=NOW), NOW)
    waits: list[float] = []
    while True:
        after, wait_s = take_signature(budget, NOW)
        if wait_s is None:
            assert after == budget
            break
        waits.append(wait_s)
        budget = after
    assert waits == sorted(waits)
    assert max(waits) <= 0.5
    assert len(waits) == 25


def test_rate_of_zero_is_no_limit() -> None:
    budget = SigningBudget(per_second=0, in_hand=0)
    assert take_signature(budget, NOW) == (budget, 0.0)


def test_clock_that_goes_back_gives_nothing_for_free() -> None:
    _, spent = signatures_at_once(SigningBudget(at=NOW), NOW)
    assert signatures_at_once(spent, NOW - HOUR_S)[0] == 0
