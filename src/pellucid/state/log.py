"""The ordered log of commits.

`Log.commit` checks expectations, gives the batch the next revision, has the engine make it durable,
and only then publishes it: the snapshot moves, listeners are called in order, the caller is answered.
Commits that arrive while a write is under way are written together by the next one (group commit).

If a write fails, every commit in flight fails with the engine's error and the log stands where the
last durable commit left it: reading goes on, nothing is half applied.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch, Change, Key, Table

logger = logging.getLogger(__name__)

HISTORY = 4_096
"""Committed batches kept for followers; one that is further behind gets `Gap`."""

Listener = Callable[[Snapshot, Batch], None]


class StorageError(Exception):
    """The engine could not make a commit durable; the commit did not happen."""


class StorageFull(StorageError):
    """The disk is full."""


class LogClosed(Exception):
    """The log has been closed; no commit is accepted."""


class Gap(Exception):
    """A follower asked for batches that have been compacted away; start again from a snapshot."""

    def __init__(self, after: int, oldest: int) -> None:
        self.after, self.oldest = after, oldest
        super().__init__(f"revision {after} is compacted; the oldest kept is {oldest}")


class Engine(Protocol):
    """Where commits are kept. Calls come from one thread at a time, in revision order."""

    blocking: bool
    """True when `append` waits for a disk and must not run on the event loop."""

    def load(self) -> Snapshot:
        """The state as of the last durable commit."""

    def append(self, batches: Sequence[Batch]) -> None:
        """Make the batches durable, all or none. Raises StorageError."""

    def close(self) -> None:
        """Release files and locks."""


class MemoryEngine:
    """Keeps nothing: for `-dev` agents and tests."""

    blocking = False

    def load(self) -> Snapshot:
        """An empty state."""
        return Snapshot()

    def append(self, batches: Sequence[Batch]) -> None:
        """Durable for as long as the process lives, by being published."""

    def close(self) -> None:
        """Nothing to release."""


class _Pending:
    __slots__ = ("after", "batch", "done")

    def __init__(self, after: Snapshot, batch: Batch, done: asyncio.Future[int]) -> None:
        self.after, self.batch, self.done = after, batch, done


class Log:
    """One ordered log over an engine. Belongs to one event loop."""

    def __init__(self, engine: Engine | None = None, *, history: int = HISTORY) -> None:
        self._engine: Engine = engine or MemoryEngine()
        self._published = self._engine.load()
        self._head = self._published
        self._queue: deque[_Pending] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._executor = ThreadPoolExecutor(1, "log") if self._engine.blocking else None
        self._history: deque[Batch] = deque(maxlen=history)
        self._listeners: list[Listener] = []
        self._moved = asyncio.Event()
        self._closed = False

    @property
    def revision(self) -> int:
        """The revision of the last durable commit."""
        return self._published.revision

    def snapshot(self) -> Snapshot:
        """The state at `revision`. Free to take, never changes."""
        return self._published

    @property
    def head(self) -> Snapshot:
        """The state the next commit changes: every accepted commit, durable or not yet.

        For deciding what to commit, never for answering: a caller that reads it and calls `commit`
        without awaiting in between decides on exactly what it changes.
        """
        return self._head

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every commit from now on, in order, before its caller is answered.

        Returns the function that stops it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def commit(
        self, changes: Sequence[Change], *, expect: Mapping[tuple[Table[Any], Key], int] | None = None
    ) -> int:
        """Apply all changes or none, and return the revision at which they hold once they are durable.

        expect: (table, key) -> modify index the row must have now, 0 for "must not exist".
        Raises Conflict, StorageError, LogClosed.
        """
        if self._closed:
            raise LogClosed("the log is closed")
        self._head.expecting(expect or {})
        after, batch = self._head.apply(changes)
        if not batch.touched:
            return await self._durable(after.revision)
        self._head = after
        if self._executor is None:
            self._engine.append((batch,))
            self._publish(after, batch)
            return batch.revision
        pending = _Pending(after, batch, asyncio.get_running_loop().create_future())
        self._queue.append(pending)
        self._ensure_writer()
        return await asyncio.shield(pending.done)

    async def follow(self, after: int) -> AsyncIterator[Batch]:
        """Committed batches with a revision above `after`, in order, without end.

        Raises Gap when they are no longer all kept.
        """
        while True:
            for batch in self._kept_after(after):
                yield batch
                after = batch.revision
            if self._closed:
                return
            if self._published.revision <= after:
                self._moved.clear()
                await self._moved.wait()

    async def close(self) -> None:
        """Finish the commits in flight, then release the engine."""
        self._closed = True
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        self._moved.set()
        if self._executor is not None:
            self._executor.shutdown()
        self._engine.close()

    def _kept_after(self, after: int) -> list[Batch]:
        oldest = self._history[0].revision if self._history else self._published.revision + 1
        if after + 1 < oldest:
            raise Gap(after, oldest)
        return [batch for batch in self._history if batch.revision > after]

    async def _durable(self, revision: int) -> int:
        """Wait until `revision`, already applied to the head, is on disk."""
        for pending in self._queue:
            if pending.batch.revision == revision:
                return await asyncio.shield(pending.done)
        return revision

    def _ensure_writer(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_queued())

    async def _write_queued(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            group = list(self._queue)
            try:
                await loop.run_in_executor(self._executor, self._engine.append, [p.batch for p in group])
            except StorageError as error:
                self._fail_in_flight(error)
                continue
            for pending in group:
                self._queue.popleft()
                self._publish(pending.after, pending.batch)
                if not pending.done.done():
                    pending.done.set_result(pending.batch.revision)

    def _fail_in_flight(self, error: StorageError) -> None:
        """Commits queued behind a failed one were built on it, so they fail with it."""
        logger.error("commit failed: %s", error)
        failed, self._queue = self._queue, deque()
        self._head = self._published
        for pending in failed:
            if not pending.done.done():
                pending.done.set_exception(error)
                pending.done.exception()

    def _publish(self, after: Snapshot, batch: Batch) -> None:
        self._published = after
        self._history.append(batch)
        self._moved.set()
        for listener in tuple(self._listeners):
            try:
                listener(after, batch)
            except Exception:
                logger.exception("a log listener failed at revision %d", batch.revision)
