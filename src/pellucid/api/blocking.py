"""Blocking queries: hold a read until its answer changes, its time is up, or the agent stops.

A blocked query is one more subscription on the engine, so it wakes exactly when its own answer
changes. A change of unrelated facts never reaches it.

Source: Consul 1.10 docs, "Blocking Queries"; agent/consul/rpc.go (blockingQuery).
"""

from __future__ import annotations

import asyncio
from random import Random

from pellucid.api.outcome import Content, Read
from pellucid.derive.engine import Engine

DEFAULT_WAIT_S = 300.0
MAX_WAIT_S = 600.0
JITTER_FRACTION = 16
"""A wait is lengthened by a random part of up to a sixteenth, so that clients drift apart."""


class BlockingQueries:
    """The reads that are waiting. Belongs to one event loop."""

    def __init__(
        self,
        engine: Engine,
        random: Random,
        *,
        default_wait_s: float = DEFAULT_WAIT_S,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        self._engine = engine
        self._random = random
        self._default_wait_s = default_wait_s
        self._max_wait_s = max_wait_s
        self._waiting: set[asyncio.Event] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._waiting)

    def blocks(self, read: Read) -> bool:
        """True if the read asks to wait at all."""
        return bool(read.options.content_hash) if read.by_hash else read.options.index > 0

    def wait_seconds(self, asked_s: float) -> float:
        """How long a query that asked for `asked_s` seconds may wait, jitter included."""
        wait_s = min(asked_s, self._max_wait_s) if asked_s > 0 else self._default_wait_s
        return wait_s + self._random.random() * wait_s / JITTER_FRACTION

    async def answer(self, read: Read) -> Content:
        """The read's content once it is new to the caller, or as it stands when the time is up.

        Raises what the query raises. Cancelling it (the client went away) leaves nothing behind.
        """
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        subscription = self._engine.subscribe(read.query, woken.set, *read.args)
        deadline = loop.time() + self.wait_seconds(read.options.wait_s)
        timer = loop.call_at(deadline, woken.set)
        self._waiting.add(woken)
        try:
            while True:
                content = subscription.value
                if _is_news(read, content) or self._stopping or loop.time() >= deadline:
                    return content
                await woken.wait()
                woken.clear()
        finally:
            self._waiting.discard(woken)
            timer.cancel()
            subscription.close()

    def stop(self) -> None:
        """Answer every waiting query with what there is, and let none wait from now on."""
        self._stopping = True
        for woken in self._waiting:
            woken.set()


def _is_news(read: Read, content: Content) -> bool:
    if read.by_hash:
        return content.content_hash != read.options.content_hash
    return max(content.index, 1) > read.options.index
