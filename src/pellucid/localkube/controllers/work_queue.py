"""A queue of keys: each waits at most once, and a failed one comes back later and later."""

from __future__ import annotations

import asyncio
from collections import Counter

from pellucid.localkube.controllers.plan import Key

FIRST_DELAY = 0.05
"""Seconds before a key is tried again after its first failure; doubled by each further one."""
LONGEST_DELAY = 60.0


class WorkQueue:
    """First in, first out; adding a key that waits already changes nothing."""

    def __init__(self) -> None:
        self._ready: dict[Key, None] = {}
        self._wake = asyncio.Event()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: Counter[Key] = Counter()

    def add(self, key: Key) -> None:
        """Have `key` looked at as soon as possible."""
        self._ready[key] = None
        self._wake.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have `key` looked at in `seconds`, or sooner if it was to be sooner."""
        loop = asyncio.get_running_loop()
        earlier = self._timers.get(key)
        if earlier is not None:
            if earlier.when() <= loop.time() + seconds:
                return
            earlier.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def failed(self, key: Key) -> None:
        """Have `key` looked at again after a delay that doubles with each failure in a row.

        Not sooner, even if it was added meanwhile: what is written about a failure concerns the key too.
        """
        self._ready.pop(key, None)
        delay = min(FIRST_DELAY * 2 ** self._failures[key], LONGEST_DELAY)
        self._failures[key] = min(self._failures[key] + 1, 20)
        self.add_after(key, delay)

    def succeeded(self, key: Key) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key, waiting for one."""
        while not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = next(iter(self._ready))
        del self._ready[key]
        return key
