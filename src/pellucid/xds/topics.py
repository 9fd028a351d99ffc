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

    def wake(self) -> None:
        """Which resources there are may have changed."""


Want = tuple[Reader, ResourceType, str]
"""A stream, and under which type and name it wants a topic's resource."""


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
    """One resource, and the streams that want it."""

    __slots__ = ("_watched", "wants")

    def __init__(self, engine: Engine, query: ResourceQuery, ref: Ref) -> None:
        self.wants: dict[Want, None] = {}
        self._watched = Watched(engine.subscribe(query, self._changed, ref))

    def value(self) -> SharedResource | None:
        """The resource now; None while it cannot be built."""
        return self._watched.value()

    def close(self) -> None:
        """Nobody wants it any more."""
        self._watched.close()

    def _changed(self) -> None:
        for reader, resource_type, name in tuple(self.wants):
            reader.mark(resource_type, name)


class Topics:
    """All topics in use, over the two queries that say what a proxy is to have."""

    def __init__(self, engine: Engine, refs: RefsQuery, resource: ResourceQuery) -> None:
        self._engine, self._refs, self._resource = engine, refs, resource
        self._topics: dict[Ref, Topic] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def watch_refs(
        self, node: str, service_id: str, resource_type: ResourceType, changed: Callable[[], None]
    ) -> Watched[Refs]:
        """Watch which resources of a type a proxy is to have."""
        return Watched(self._engine.subscribe(self._refs, changed, node, service_id, str(resource_type)))

    def join(self, ref: Ref, want: Want) -> Topic:
        """Want a resource; the reader is marked whenever it changes."""
        topic = self._topics.get(ref)
        if topic is None:
            topic = self._topics[ref] = Topic(self._engine, self._resource, ref)
        topic.wants[want] = None
        return topic

    def leave(self, ref: Ref, want: Want) -> None:
        """Want it no more."""
        topic = self._topics.get(ref)
        if topic is None:
            return
        topic.wants.pop(want, None)
        if not topic.wants:
            topic.close()
            del self._topics[ref]


class ProxyView:
    """The configuration of one proxy as one stream sees it. Implements `ProxyResources`."""

    def __init__(self, topics: Topics, node: str, service_id: str, reader: Reader) -> None:
        self._topics, self._node, self._service_id, self._reader = topics, node, service_id, reader
        self._refs: dict[ResourceType, Watched[Refs]] = {}
        self._joined: dict[tuple[ResourceType, str], tuple[Ref, Topic]] = {}

    def refs(self, resource_type: ResourceType) -> Refs | None:
        """The resources of a type; None while they cannot be derived."""
        watched = self._refs.get(resource_type)
        if watched is None:
            watched = self._refs[resource_type] = self._topics.watch_refs(
                self._node, self._service_id, resource_type, self._reader.wake
            )
        return watched.value()

    def resource(self, resource_type: ResourceType, name: str, ref: Ref) -> SharedResource | None:
        """The resource of a ref. From now on the stream is marked when it changes."""
        joined = self._joined.get((resource_type, name))
        if joined is None or joined[0] != ref:
            topic = self._topics.join(ref, (self._reader, resource_type, name))
            self.drop(resource_type, name)
            joined = self._joined[resource_type, name] = (ref, topic)
        return joined[1].value()

    def drop(self, resource_type: ResourceType, name: str) -> None:
        """The stream no longer wants a resource."""
        joined = self._joined.pop((resource_type, name), None)
        if joined is not None:
            self._topics.leave(joined[0], (self._reader, resource_type, name))

    def close(self) -> None:
        """Let go of everything."""
        for watched in self._refs.values():
            watched.close()
        for resource_type, name in tuple(self._joined):
            self.drop(resource_type, name)
