"""Watches: the events of a resource from a version on, for any number of watchers.

Every commit is turned into events once; each watcher has a bounded queue of the events of its resource.
One that does not keep up is ended, as one that asks for what is no longer kept is refused: both then list
again. Source: Kubernetes docs, "API Concepts - Efficient detection of changes".
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from pellucid.localkube.api.objects import OBJECTS, Object, shown
from pellucid.localkube.api.selectors import ObjectTest
from pellucid.localkube.api.status import ApiError, expired
from pellucid.localkube.types.kinds import Resource
from pellucid.state.log import Log
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch

KEPT = 10_000
"""Changes kept for watchers that start from an older version."""
BEHIND = 4_096
"""Changes a watcher may be behind before it is ended."""


class Event(msgspec.Struct, frozen=True):
    """ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and the object (or Status) it is about."""

    type: str
    object: Object


class Moved(msgspec.Struct, frozen=True):
    """One object's change in one commit; before or after is None where it did not exist."""

    revision: int
    namespace: str
    before: Object | None
    after: Object | None


class _Queue:
    """The changes one watcher has yet to see."""

    def __init__(self, waiting: Sequence[Moved]) -> None:
        self.waiting: deque[Moved] = deque(waiting)
        self.wake = asyncio.Event()
        self.overrun = False
        if waiting:
            self.wake.set()

    def put(self, moved: Moved) -> None:
        if len(self.waiting) >= BEHIND:
            self.overrun = True
            self.waiting.clear()
        if not self.overrun:
            self.waiting.append(moved)
        self.wake.set()


class Watches:
    """Turns the log's commits into events."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._kept: deque[tuple[tuple[str, str], Moved]] = deque(maxlen=KEPT)
        self._oldest = log.revision
        self._queues: dict[tuple[str, str], set[_Queue]] = {}
        self._stop = log.listen(self._committed)

    def close(self) -> None:
        """Follow the log no longer."""
        self._stop()

    def _committed(self, _snapshot: Snapshot, batch: Batch) -> None:
        for touched in batch.touched:
            if touched.table is not OBJECTS:
                continue
            before = touched.before.value.value if touched.before else None
            after = touched.after.value.value if touched.after else None
            stored = (touched.key[0], touched.key[1])
            moved = Moved(batch.revision, touched.key[2], before, after)
            if len(self._kept) == KEPT:
                self._oldest = self._kept[0][1].revision
            self._kept.append((stored, moved))
            for queue in self._queues.get(stored, ()):
                queue.put(moved)

    def check(self, since: int) -> None:
        """Raises ApiError 410 if the events after `since` are not all kept."""
        if since < self._oldest or since > self._log.head.revision:
            raise expired(since, self._oldest)

    async def follow(
        self, resource: Resource, namespace: str, since: int, test: ObjectTest
    ) -> AsyncIterator[Event]:
        """The events of a resource after the version `since`, until the consumer stops.

        Raises ApiError 410 when they are not kept, or when the consumer has fallen too far behind.
        """
        self.check(since)
        kept = [one for stored, one in self._kept if stored == resource.stored and one.revision > since]
        queue = _Queue(kept)
        queues = self._queues.setdefault(resource.stored, set())
        queues.add(queue)
        try:
            while True:
                await queue.wake.wait()
                queue.wake.clear()
                if queue.overrun:
                    raise expired(since, self._log.revision)
                while queue.waiting:
                    moved = queue.waiting.popleft()
                    since = moved.revision
                    event = _event(resource, moved, namespace, test)
                    if event is not None:
                        yield event
        finally:
            queues.discard(queue)


def _event(resource: Resource, moved: Moved, namespace: str, test: ObjectTest) -> Event | None:
    """What a change means to a watcher with a selector: entering is ADDED, leaving DELETED."""
    if namespace and moved.namespace != namespace:
        return None
    matched = moved.before is not None and test(moved.before)
    matches = moved.after is not None and test(moved.after)
    if matches and moved.after is not None:
        return Event("MODIFIED" if matched else "ADDED", shown(resource, moved.after))
    if matched:
        last = moved.after or moved.before or {}
        return Event("DELETED", at_version(shown(resource, last), moved.revision))
    return None


def at_version(value: Object, revision: int) -> Object:
    """An object with another resourceVersion."""
    return {**value, "metadata": {**value["metadata"], "resourceVersion": str(revision)}}


def bookmark(resource: Resource, revision: int, *, initial_end: bool = False) -> Event:
    """A BOOKMARK: nothing up to this version is outstanding."""
    meta: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_end:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return Event("BOOKMARK", {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": meta})


def error_event(error: ApiError) -> Event:
    """A watch's last word."""
    return Event("ERROR", error.status)
