"""How long a sidecar stays for the sake of others, counted in its own looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pellucid.kube.pod.departure import SETTLED_SECONDS, quiet


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
    assert await quiet(there(time), 0.0, 2.0, time.sleep)
    assert time.now == 0.0


async def test_an_application_that_stays_is_waited_for_as_long_as_was_said() -> None:
    time = Time()
    assert not await quiet(there(time, (0, 60)), 0.0, 2.0, time.sleep)
    assert time.now == pytest.approx(2.0)


async def test_an_application_between_two_calls_is_not_gone() -> None:
    time = Time()
    assert await quiet(there(time, (0, 3), (3.5, 7)), SETTLED_SECONDS, None, time.sleep)
    assert time.now == pytest.approx(7 + SETTLED_SECONDS, abs=0.2)
