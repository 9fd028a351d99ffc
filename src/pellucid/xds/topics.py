"""Resources watched once, however many streams want them.

Each distinct ref in use is one subscription of the engine, and each stream has one for every type. When a
wave changes a resource, its topic marks it in every stream that wants it; a stream then compares that one
name. So a shared change costs one evaluation, and a mark for each stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from pellucid.derive.engine import Engine, Query, Subscription
from pellucid.xds.shared import Ref, Refs, SharedResource
from pellucid.xds.types import ResourceType

logger = logging.getLogger(__name__)

T = TypeVar("T")

RefsQuery = Query[[str, str, str], Refs]
"""(node, service id, type URL) -> the resources of the type that the proxy is to have."""

ResourceQuery = Query[[Any], SharedResource]
"""ref -> the resource."""


class Reader(Protocol):
    """What a topic tells: a stream."""

    def mark(self, resource_type: ResourceType, name: str) -> None:
        """The resource of this name may have changed."""

    def moved(self) -> None:
        """There may be other resources than before."""


Place = tuple[ResourceType, str]
"""Under which type and name streams want a topic's resource: for all of them the same, but for rare cases."""


class Watched(Generic[T]):
    """A derived value that is watched, and that may fail to be derived."""

    __slots__ = ("_complaint", "_subscription")

    def __init__(self, subscription: Subscription[T]) -> None:
        self._subscription = subscription
        self._complaint: str | None = None

    def value(self) -> T | None:
        """The value now; None while it cannot be derived, which is logged once."""
        try:
            value = self._subscription.value
        except Exception as error:
            self._complain(f"{type(error).__name__}: {error}")
            return None
        self._complaint = None
        return value

    def close(self) -> None:
        """Stop watching."""
        self._subscription.close()

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            self._complaint = complaint
            logger.error("cannot derive %r (%s); proxies keep what they have", self._subscription, complaint)


class Topic:
    """One resource, and the streams that want it.

    There is one of these for each thing that is sent, and an entry in it for each stream: what a thousand
    streams hold here must not be a thousand objects more for the garbage collector to walk through.
    """

    __slots__ = ("_readers", "_rebuilt", "_watched", "ref")

    def __init__(self, engine: Engine, query: ResourceQuery, ref: Ref, rebuilt: Callable[[], None]) -> None:
        self.ref = ref
        self._rebuilt = rebuilt
        self._readers: dict[Place, dict[Reader, None]] = {}
        self._watched = Watched(engine.subscribe(query, self._changed, ref))

    @property
    def is_wanted(self) -> bool:
        """Whether any stream wants it."""
        return bool(self._readers)

    def value(self) -> SharedResource | None:
        """The resource now; None while it cannot be built."""
        return self._watched.value()

    def add(self, reader: Reader, place: Place) -> None:
        """Mark the reader whenever the resource changes."""
        self._readers.setdefault(place, {})[reader] = None

    def remove(self, reader: Reader, place: Place) -> None:
        """Mark it no more."""
        readers = self._readers.get(place, {})
        readers.pop(reader, None)
        if not readers:
            self._readers.pop(place, None)

    def close(self) -> None:
        """Nobody wants it any more."""
        self._watched.close()

    def _changed(self) -> None:
        self._rebuilt()
        for place, readers in tuple(self._readers.items()):
            for reader in tuple(readers):
                reader.mark(*place)


class Topics:
    """All topics in use, over the two queries that say what a proxy is to have."""

    def __init__(self, engine: Engine, refs: RefsQuery, resource: ResourceQuery) -> None:
        self._engine, self._refs, self._resource = engine, refs, resource
        self._topics: dict[Ref, Topic] = {}
        self.built = 0
        """Resources built so far: first ones, and new versions."""

    def __len__(self) -> int:
        return len(self._topics)

    def watch_refs(
        self, node: str, service_id: str, resource_type: ResourceType, changed: Callable[[], None]
    ) -> Watched[Refs]:
        """Watch which resources of a type a proxy is to have."""
        return Watched(self._engine.subscribe(self._refs, changed, node, service_id, str(resource_type)))

    def join(self, ref: Ref, reader: Reader, place: Place) -> Topic:
        """Want a resource; the reader is marked whenever it changes."""
        topic = self._topics.get(ref)
        if topic is None:
            topic = self._topics[ref] = Topic(self._engine, self._resource, ref, self._count)
            self._count()
        topic.add(reader, place)
        return topic

    def _count(self) -> None:
        self.built += 1

    def leave(self, topic: Topic, reader: Reader, place: Place) -> None:
        """Want it no more."""
        topic.remove(reader, place)
        if not topic.is_wanted:
            topic.close()
            del self._topics[topic.ref]


class ProxyView:
    """The configuration of one proxy as one stream sees it. Implements `ProxyResources`."""

    def __init__(self, topics: Topics, node: str, service_id: str, reader: Reader) -> None:
        self._topics, self._node, self._service_id, self._reader = topics, node, service_id, reader
        self._refs: dict[ResourceType, Watched[Refs]] = {}
        self._joined: dict[ResourceType, dict[str, Topic]] = {}

    def refs(self, resource_type: ResourceType) -> Refs | None:
        """The resources of a type; None while they cannot be derived."""
        watched = self._refs.get(resource_type)
        if watched is None:
            watched = self._refs[resource_type] = self._topics.watch_refs(
                self._node, self._service_id, resource_type, self._reader.moved
            )
        return watched.value()

    def resource(self, resource_type: ResourceType, name: str, ref: Ref) -> SharedResource | None:
        """The resource of a ref. From now on the stream is marked when it changes."""
        joined = self._joined.setdefault(resource_type, {})
        topic = joined.get(name)
        if topic is None or (topic.ref is not ref and topic.ref != ref):
            joins = self._topics.join(ref, self._reader, (resource_type, name))
            self.drop(resource_type, name)
            topic = joined[name] = joins
        return topic.value()

    def drop(self, resource_type: ResourceType, name: str) -> None:
        """The stream no longer wants a resource."""
        topic = self._joined.get(resource_type, {}).pop(name, None)
        if topic is not None:
            self._topics.leave(topic, self._reader, (resource_type, name))

    def close(self) -> None:
        """Let go of everything."""
        for watched in self._refs.values():
            watched.close()
        for resource_type, joined in self._joined.items():
            for name in tuple(joined):
                self.drop(resource_type, name)
