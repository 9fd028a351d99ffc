"""Watches: the events of a resource from a version on, for any number of watchers.

Every commit is turned into events once; each watcher has a bounded queue of the events of its resource.
One that does not keep up is ended, as one that asks for what is no longer kept is refused: both then list
again. Source: Kubernetes docs, "API Concepts - Efficient detection of changes".
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from typing import Any

import msgspec

from pellucid.localkube.api.objects import OBJECTS, Object, shown
from pellucid.localkube.api.selectors import ObjectTest
from pellucid.localkube.api.status import ApiError, expired
from pellucid.localkube.types.kinds import Resource
from pellucid.state.log import Log
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch

KEPT = 4_096
"""Changes kept for watchers that start from an older version."""
BEHIND = 4_096
"""Changes a watcher may be behind before it is ended."""


class Event(msgspec.Struct, frozen=True, dict=True):
    """ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and the object (or Status) it is about."""

    type: str
    object: Object

    @cached_property
    def line(self) -> bytes:
        """As a watch sends it; made once for all watchers that share the event."""
        return msgspec.json.encode({"type": self.type, "object": self.object}) + b"\n"


class Moved(msgspec.Struct, frozen=True):
    """One object's change in one commit; before or after is None where it did not exist."""

    revision: int
    namespace: str
    before: Object | None
    after: Object | None


class _Told:
    """A change on its way to watchers: the events that are made of it are shared by all of them."""

    __slots__ = ("_events", "moved")

    def __init__(self, moved: Moved) -> None:
        self.moved = moved
        self._events: dict[tuple[str, str], Event] = {}

    def event(self, kind: str, resource: Resource) -> Event:
        """The event as a version of the resource shows it."""
        key = (kind, resource.version)
        event = self._events.get(key)
        if event is None:
            value = shown(resource, self.moved.after or self.moved.before or {})
            if kind == "DELETED":
                value = at_version(value, self.moved.revision)
            event = self._events[key] = Event(kind, value)
        return event


class _Queue:
    """The changes one watcher has yet to see."""

    def __init__(self, waiting: Sequence[_Told]) -> None:
        self.waiting: deque[_Told] = deque(waiting)
        self.wake = asyncio.Event()
        self.overrun = False
        if waiting:
            self.wake.set()

    def put(self, told: _Told) -> None:
        if len(self.waiting) >= BEHIND:
            self.overrun = True
            self.waiting.clear()
        if not self.overrun:
            self.waiting.append(told)
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
            told = _Told(moved)
            for queue in self._queues.get(stored, ()):
                queue.put(told)

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
        kept = [
            _Told(one) for stored, one in self._kept if stored == resource.stored and one.revision > since
        ]
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
                    told = queue.waiting.popleft()
                    since = told.moved.revision
                    event = _event(resource, told, namespace, test)
                    if event is not None:
                        yield event
        finally:
            queues.discard(queue)


def _event(resource: Resource, told: _Told, namespace: str, test: ObjectTest) -> Event | None:
    """What a change means to a watcher with a selector: entering is ADDED, leaving DELETED."""
    moved = told.moved
    if namespace and moved.namespace != namespace:
        return None
    matched = moved.before is not None and test(moved.before)
    matches = moved.after is not None and test(moved.after)
    if matches:
        return told.event("MODIFIED" if matched else "ADDED", resource)
    return told.event("DELETED", resource) if matched else None


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
