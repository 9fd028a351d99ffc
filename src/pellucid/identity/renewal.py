"""When a leaf is due for renewal.

A leaf is renewed at a random instant between 60 % and 90 % of its life, so that leaves issued
together are not renewed together. When the root changes, every leaf is renewed within 30 seconds,
again at random instants. Pure arithmetic on unix seconds; the random source is an argument.

Source: Consul 1.10 agent/cache-types/connect_ca_leaf.go.
"""

from __future__ import annotations

from random import Random

RENEW_FROM = 0.6
RENEW_UNTIL = 0.9
ROOT_CHANGE_SPREAD_S = 30.0


def renewal_time(valid_after: float, valid_before: float, random: Random) -> float:
    """When to renew a leaf that lives from `valid_after` to `valid_before`."""
    lifetime = valid_before - valid_after
    return valid_after + lifetime * random.uniform(RENEW_FROM, RENEW_UNTIL)


def renewal_time_after_root_change(now: float, due: float, random: Random) -> float:
    """When to renew a leaf whose root is no longer the active one, if it was `due` by itself already."""
    return min(due, now + random.uniform(0.0, ROOT_CHANGE_SPREAD_S))
