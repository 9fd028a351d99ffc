"""A queue of keys to look at: each waits at most once, and one that failed comes back later and later.

Looking at a key means comparing what should be with what is, so it does not matter how often a key was added
or what for: events may be lost, doubled or out of order without harm.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

FIRST_DELAY_S = 0.1
"""Before a key is tried again after its first failure; doubled by each further one."""
LONGEST_DELAY_S = 30.0
_MOST_DOUBLINGS = 10

K = TypeVar("K")


class WorkQueue(Generic[K]):
    """First in, first out; adding a key that waits already changes nothing."""

    def __init__(self) -> None:
        self._ready: dict[K, None] = {}
        self._wake = asyncio.Event()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: Counter[K] = Counter()

    def __iter__(self) -> Iterator[K]:
        """The keys that are to be looked at now."""
        return iter(tuple(self._ready))

    def add(self, key: K) -> None:
        """Have `key` looked at as soon as possible."""
        self._ready[key] = None
        self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have `key` looked at in `seconds`, or sooner if it was to be sooner."""
        loop = asyncio.get_running_loop()
        earlier = self._timers.get(key)
        if earlier is not None:
            if earlier.when() <= loop.time() + seconds:
                return
            earlier.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def failed(self, key: K) -> None:
        """Have `key` looked at again after a delay that doubles with each failure in a row.

        Not sooner, even if it was added meanwhile: what is written about a failure concerns the key too.
        """
        self._ready.pop(key, None)
        self.add_after(key, delay_after(self._failures[key]))
        self._failures[key] += 1

    def succeeded(self, key: K) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key, waiting for one."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._ready))
        del self._ready[key]
        return key

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)


def delay_after(failures: int) -> float:
    """Seconds until a key is looked at again that failed now, and this many times in a row before."""
    return min(FIRST_DELAY_S * 2.0 ** min(failures, _MOST_DOUBLINGS), LONGEST_DELAY_S)
