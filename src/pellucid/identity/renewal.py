"""When a leaf is due for renewal, and how fast certificates may be signed.

A leaf is renewed at a random instant between 60 % and 90 % of its life, so that leaves issued
together are not renewed together. When the root changes, every leaf is renewed within 30 seconds,
again at random instants. Pure arithmetic on unix seconds; the random source is an argument.

Source: Consul 1.10 agent/cache-types/connect_ca_leaf.go; docs, "Connect CA" (CSRMaxPerSecond).
"""

from __future__ import annotations

from random import Random

import msgspec

RENEW_FROM = 0.6
RENEW_UNTIL = 0.9
ROOT_CHANGE_SPREAD_S = 30.0
CSR_MAX_PER_SECOND = 50.0
CSR_MAX_CONCURRENT = 0
"""0: no limit on concurrency; the rate alone limits."""
CSR_MAX_WAIT_S = 0.5
"""A request that would wait longer for its turn is refused."""
RATE_LIMITED = "Rate limit reached, try again later"
RATE_LIMIT_RETRY_S = 30.0


def renewal_time(valid_after: float, valid_before: float, random: Random) -> float:
    """When to renew a leaf that lives from `valid_after` to `valid_before`."""
    lifetime = valid_before - valid_after
    return valid_after + lifetime * random.uniform(RENEW_FROM, RENEW_UNTIL)


def renewal_time_after_root_change(now: float, due: float, random: Random) -> float:
    """When to renew a leaf whose root is no longer the active one, if it was `due` by itself already."""
    return min(due, now + random.uniform(0.0, ROOT_CHANGE_SPREAD_S))


def renewal_time_after_refusal(now: float, random: Random) -> float:
    """When to ask again after the rate limit refused a renewal; the old leaf serves meanwhile."""
    return now + random.uniform(0.0, RATE_LIMIT_RETRY_S)


class SigningBudget(msgspec.Struct, frozen=True):
    """A token bucket over the signing rate: how many signatures are in hand as of `at`."""

    per_second: float = CSR_MAX_PER_SECOND
    in_hand: float = CSR_MAX_PER_SECOND
    at: float = 0.0


def take_signature(budget: SigningBudget, now: float) -> tuple[SigningBudget, float | None]:
    """Spend one signature.

    Returns the budget that is left and how many seconds to wait before signing: 0.0 for at once,
    None when the wait would exceed half a second and the caller must be told `RATE_LIMITED`
    (then nothing is spent). A `per_second` of 0 or less means no limit.
    """
    if budget.per_second <= 0:
        return budget, 0.0
    elapsed = max(0.0, now - budget.at)
    in_hand = min(budget.per_second, budget.in_hand + elapsed * budget.per_second) - 1.0
    wait_s = max(0.0, -in_hand / budget.per_second)
    if wait_s > CSR_MAX_WAIT_S:
        return budget, None
    return SigningBudget(budget.per_second, in_hand, now), wait_s
