"""Kubernetes Events on objects: why a pod waits, where `kubectl describe pod` shows it.

What is said once is not said again while it holds: a repetition is told to the API server at most every ten
minutes, as a higher count of the same Event. Events are written in the background and dropped when there are
too many or the API server is away; nothing waits for them.

Source: Kubernetes docs, "Event v1 core"; `kubectl describe` finds events by `involvedObject`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import msgspec
import structlog
from lightkube import AsyncClient
from lightkube.models.core_v1 import EventSource, ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Event
from lightkube.types import PatchType

REPEATED_AFTER_S = 600.0
REPHRASED_AFTER_S = 30.0
"""A reason is not told in other words sooner than this."""
MOST_WAITING = 1_000
"""Events not yet written; further ones are dropped."""
MOST_REMEMBERED = 10_000
LONGEST_MESSAGE = 1_024
"""Characters, the limit of the API server."""
_LONGEST_NAME = 200

WARNING = "Warning"
NORMAL = "Normal"

log = structlog.get_logger("pellucid.kube.events")


class Subject(msgspec.Struct, frozen=True):
    """The object an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


class _Told(msgspec.Struct):
    """An event that was told, under the name the API server has it by."""

    name: str
    reason: str
    message: str
    kind: str
    count: int
    at: float
    first: datetime
    is_written: bool = False


class EventRecorder:
    """Tells events; `run` writes them. clock: seconds that only go up; now: the time of day, in UTC."""

    def __init__(
        self,
        client: AsyncClient,
        component: str,
        *,
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """component: who tells, as `kubectl describe` shows it in the column From."""
        self._client = client
        self._component = component
        self._clock = clock
        self._now = now
        self._told: OrderedDict[str, _Told] = OrderedDict()
        self._waiting: asyncio.Queue[tuple[Subject, _Told]] = asyncio.Queue(MOST_WAITING)

    def tell(self, subject: Subject, reason: str, message: str, *, kind: str = WARNING) -> None:
        """Say how it stands with an object now; `reason` is one word in CamelCase."""
        message = message[:LONGEST_MESSAGE]
        told = self._told.get(subject.uid)
        if told is None or told.reason != reason or told.message != message:
            if told is not None and told.reason == reason and self._clock() - told.at < REPHRASED_AFTER_S:
                return
            name = f"{subject.name[:_LONGEST_NAME]}.{secrets.token_hex(8)}"
            told = _Told(name, reason, message, kind, count=0, at=0.0, first=self._now())
            self._remember(subject, told)
        elif self._clock() - told.at < REPEATED_AFTER_S:
            return
        told.count += 1
        told.at = self._clock()
        if not self._waiting.full():
            self._waiting.put_nowait((subject, told))

    @property
    def waiting(self) -> int:
        """Events told and not yet written."""
        return self._waiting.qsize()

    def last_told(self, subject: Subject) -> str | None:
        """The reason of what was last told of an object."""
        told = self._told.get(subject.uid)
        return told.reason if told else None

    def forget(self, subject: Subject) -> None:
        """Nothing more is to be told of an object."""
        self._told.pop(subject.uid, None)

    async def run(self) -> None:
        """Write what is told until cancelled."""
        while True:
            subject, told = await self._waiting.get()
            try:
                await self._write(subject, told)
            except (httpx2.HTTPError, OSError) as error:
                log.warning("an event is lost", subject=subject.name, reason=told.reason, error=str(error))
                if self._told.get(subject.uid) is told:
                    self.forget(subject)

    def _remember(self, subject: Subject, told: _Told) -> None:
        self._told[subject.uid] = told
        self._told.move_to_end(subject.uid)
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)

    async def _write(self, subject: Subject, told: _Told) -> None:
        now = self._now()
        if told.is_written:
            repetition = {"count": told.count, "lastTimestamp": now}
            await self._client.patch(
                Event, told.name, repetition, namespace=subject.namespace, patch_type=PatchType.MERGE
            )
            return
        event = Event(
            metadata=ObjectMeta(name=told.name, namespace=subject.namespace),
            involvedObject=ObjectReference(
                apiVersion=subject.api_version,
                kind=subject.kind,
                namespace=subject.namespace,
                name=subject.name,
                uid=subject.uid,
            ),
            reason=told.reason,
            message=told.message,
            type=told.kind,
            source=EventSource(component=self._component),
            reportingComponent=self._component,
            count=told.count,
            firstTimestamp=told.first,
            lastTimestamp=now,
        )
        await self._client.create(event)
        told.is_written = True
