"""A pod may end when its callers know: what the server says decides, and time only where it says nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pellucid.kube.pod.withdrawal import AWAY_SECONDS, LEARNED_SECONDS, UNTOLD_SECONDS, withdrawn
from pellucid.kube.probe_targets import WITHDRAWN_SECONDS


async def seconds_until_it_may_end(says: Callable[[float], bool | None]) -> float:
    """says: what the server answers at a time."""
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def is_withdrawn() -> bool | None:
        return says(now)

    await withdrawn(is_withdrawn, sleep=sleep, clock=lambda: now)
    return now


@pytest.mark.parametrize(
    ("says", "seconds"),
    [
        (lambda now: True, WITHDRAWN_SECONDS),
        (lambda now: now > 0.5, WITHDRAWN_SECONDS),
        (lambda now: now > 1.9, 1.9 + LEARNED_SECONDS),
        (lambda now: False, UNTOLD_SECONDS),
        (lambda now: None, AWAY_SECONDS + LEARNED_SECONDS),
        (lambda now: True if now > 8 else None, 8 + LEARNED_SECONDS),
        (lambda now: None if now < 8 else now > 9, 9 + LEARNED_SECONDS),
        (lambda now: None if now < 8 else False, 8 + UNTOLD_SECONDS),
    ],
    ids=[
        "it knows",
        "it hears of it",
        "it hears of it late",
        "it is not told: the pod stays",
        "it stays away",
        "it comes back and knows",
        "it comes back and hears of it",
        "it comes back and is not told",
    ],
)
async def test_what_the_server_says_decides(says: Callable[[float], bool | None], seconds: float) -> None:
    assert await seconds_until_it_may_end(says) == pytest.approx(seconds, abs=0.45)
