"""One connected proxy, and the turns in which many of them are served.

Source: the xDS protocol specification, "ACK/NACK".
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from pellucid.xds.types import ResourceType
from pellucid.xds.variants import Session

AT_ONCE = 16
"""Streams that are served before the event loop gets its turn: some 2 ms of work."""


class Turns:
    """Wakes streams a few at a time, so that a change for all of them leaves others the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Stream] = deque()
        self._giving: asyncio.Task[None] | None = None

    def wait(self, stream: Stream) -> None:
        """Wake the stream when its turn comes."""
        self._waiting.append(stream)
        if self._giving is None or self._giving.done():
            self._giving = asyncio.get_running_loop().create_task(self._give())

    async def _give(self) -> None:
        while self._waiting:
            for _ in range(min(AT_ONCE, len(self._waiting))):
                self._waiting.popleft().wake_now()
            await asyncio.sleep(0)


class Stream:
    """One connected proxy: its session, and when to look at it again."""

    def __init__(self, proxy_id: str, session: Session[Any, Any], turns: Turns) -> None:
        self.proxy_id = proxy_id
        self.session = session
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the client has no more to say; raises if the stream is to end with an error."""
        self._turns = turns
        self._queued = False
        self._work = asyncio.Event()

    def mark(self, resource_type: ResourceType, name: str) -> None:
        """A resource this stream wants may have changed."""
        self.session.changed(resource_type, name)
        self._queue()

    def moved(self) -> None:
        """There may be other resources than before."""
        self.session.moved()
        self._queue()

    def wake_now(self) -> None:
        """Look at the session again."""
        self._queued = False
        self._work.set()

    async def work(self) -> bool:
        """Wait until there may be something to send. False when the stream has ended instead."""
        await self._work.wait()
        self._work.clear()
        return not self.ended.done()

    def end(self, error: Exception | None = None) -> None:
        """End the stream, unless it has ended already."""
        if not self.ended.done():
            if error is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(error)
                self.ended.exception()
        self._work.set()

    def _queue(self) -> None:
        if not self._queued:
            self._queued = True
            self._turns.wait(self)
