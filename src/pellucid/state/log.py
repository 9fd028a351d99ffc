"""The ordered log of commits.

`Log.commit` checks expectations, gives the batch the next revision, has the engine make it durable,
and only then publishes it: the snapshot moves, listeners are called in order, the caller is answered.
Commits that arrive while a write is under way are written together by the next one (group commit).

If a write fails, every commit in flight fails with the engine's error and the log stands where the
last durable commit left it: reading goes on, nothing is half applied. A value that cannot be stored at
all fails its own commit before it is accepted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch, Change, Key, Record, Table

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
    """A follower asked for batches the log does not have; start again from a snapshot.

    Either they were compacted away, or (after its data was lost) they are still to come.
    """

    def __init__(self, after: int, oldest: int, newest: int) -> None:
        self.after, self.oldest, self.newest = after, oldest, newest
        super().__init__(f"cannot follow from revision {after}: batches {oldest} to {newest} are kept")


class Engine(Protocol):
    """Where commits are kept. Calls come from one thread at a time, in revision order."""

    blocking: bool
    """True when `append` waits for a disk and must not run on the event loop."""

    def load(self) -> Snapshot:
        """The state as of the last durable commit."""

    def append(self, revision: int, records: Sequence[Record]) -> None:
        """Make the records of one or more commits, the last of them `revision`, durable, all or none.

        A row may occur more than once; the last counts. Raises StorageError.
        """

    def close(self) -> None:
        """Release files and locks."""


class MemoryEngine:
    """Keeps nothing: for `-dev` agents and tests."""

    blocking = False

    def load(self) -> Snapshot:
        """An empty state."""
        return Snapshot()

    def append(self, revision: int, records: Sequence[Record]) -> None:
        """Durable for as long as the process lives, by being published."""

    def close(self) -> None:
        """Nothing to release."""


class _Pending:
    """A commit accepted and not yet durable."""

    __slots__ = ("after", "batch", "done", "records")

    def __init__(self, after: Snapshot, batch: Batch, records: Sequence[Record]) -> None:
        self.after, self.batch, self.records = after, batch, records
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()


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

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    async def commit(
        self, changes: Sequence[Change], *, expect: Mapping[tuple[Table[Any], Key], int] | None = None
    ) -> int:
        """Apply all changes or none, and return the revision at which they hold once they are durable.

        expect: (table, key) -> modify index the row must have now, 0 for "must not exist".
        A caller that is cancelled meanwhile may find its commit made or not, but never half made.
        Raises Conflict, Unstorable, StorageError, LogClosed.
        """
        if self._closed:
            raise LogClosed("the log is closed")
        self._head.expecting(expect or {})
        after, batch = self._head.apply(changes)
        if not batch.touched:
            return await self._durable_head()
        records = batch.records()
        if self._executor is None:
            self._engine.append(batch.revision, records)
            self._head = after
            self._publish(after, batch)
            return batch.revision
        self._head = after
        pending = _Pending(after, batch, records)
        self._queue.append(pending)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_queued())
        return await asyncio.shield(pending.done)

    async def follow(self, after: int) -> AsyncIterator[Batch]:
        """Committed batches with a revision above `after`, in order, until the log is closed.

        Raises Gap when they are not all there to be had.
        """
        while True:
            for batch in self._kept_after(after):
                yield batch
                after = batch.revision
            if self._published.revision > after:
                continue
            if self._closed and not self._queue:
                return
            self._moved.clear()
            await self._moved.wait()

    async def close(self) -> None:
        """Finish the commits in flight, then release the engine. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        if self._executor is not None:
            self._executor.shutdown()
        if self._queue:
            self._fail_in_flight(StorageError("the log was closed before the commit was written"))
        self._moved.set()
        self._engine.close()

    def _kept_after(self, after: int) -> list[Batch]:
        newest = self._published.revision
        oldest = self._history[0].revision if self._history else newest + 1
        if not oldest - 1 <= after <= newest:
            raise Gap(after, oldest, newest)
        kept = [self._history[-place] for place in range(1, newest - after + 1)]
        kept.reverse()
        return kept

    async def _durable_head(self) -> int:
        """Wait until everything already applied to the head is on disk."""
        if self._queue:
            return await asyncio.shield(self._queue[-1].done)
        return self._head.revision

    async def _write_queued(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            group = tuple(self._queue)
            records = [record for pending in group for record in pending.records]
            try:
                await loop.run_in_executor(
                    self._executor, self._engine.append, group[-1].batch.revision, records
                )
            except Exception as error:
                self._fail_in_flight(error)
                continue
            for pending in group:
                self._queue.popleft()
                self._publish(pending.after, pending.batch)
                pending.done.set_result(pending.batch.revision)

    def _fail_in_flight(self, error: Exception) -> None:
        """Commits queued behind a failed one were built on it, so they fail with it."""
        if not isinstance(error, StorageError):
            error = StorageError(f"cannot write to the store: {error!r}")
        logger.error("commit failed: %s", error)
        failed, self._queue = self._queue, deque()
        self._head = self._published
        for pending in failed:
            pending.done.set_exception(error)
            pending.done.exception()  # a caller that was cancelled will never ask for it

    def _publish(self, after: Snapshot, batch: Batch) -> None:
        self._published = after
        self._history.append(batch)
        self._moved.set()
        for listener in tuple(self._listeners):
            try:
                listener(after, batch)
            except Exception:
                logger.exception("a log listener failed at revision %d", batch.revision)
