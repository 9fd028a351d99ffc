"""How long a sidecar stays for the sake of others, counted in its own looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pellucid.kube.pod.departure import SETTLED_SECONDS, gone_before, quiet


class Time:
    """Passes only by sleeping."""

    now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def there(time: Time, *spans: tuple[float, float]) -> Callable[[], bool]:
    """An application that holds sockets in these spans of time."""
    return lambda: any(start <= time.now < end for start, end in spans)


async def test_an_application_that_is_gone_already_is_not_waited_for() -> None:
    time = Time()
    never = asyncio.create_task(asyncio.Event().wait())
    assert await gone_before(never, there(time), time.sleep)
    assert time.now == 0.0
    never.cancel()


async def test_an_application_that_stays_is_kept_until_its_callers_know() -> None:
    time = Time()
    known = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        if time.now >= 2.0:
            known.set()
        await asyncio.sleep(0)

    waiting = asyncio.create_task(known.wait())
    assert not await gone_before(waiting, there(time, (0, 60)), sleep)
    assert time.now == pytest.approx(2.0, abs=0.3)


async def test_an_application_between_two_calls_is_not_gone() -> None:
    time = Time()
    await quiet(there(time, (0, 3), (3.5, 7)), SETTLED_SECONDS, time.sleep)
    assert time.now == pytest.approx(7 + SETTLED_SECONDS, abs=0.2)
