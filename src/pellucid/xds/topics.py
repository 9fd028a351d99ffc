"""Resources watched once, however many streams want them.

Each distinct ref in use is one subscription of the engine, and each proxy one for every type. When a
wave changes a resource, its topic marks it in every stream that wants it; a stream then compares that one
name. So a shared change costs one evaluation, and a mark for each stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from pellucid.derive.engine import Engine, Subscription
from pellucid.xds.configuration import refs, resource
from pellucid.xds.shared import NO_REFS, Ref, Refs, SharedResource
from pellucid.xds.types import ResourceType

logger = logging.getLogger(__name__)


class Marker(Protocol):
    """What a topic tells: a stream."""

    def mark(self, resource_type: ResourceType, name: str) -> None:
        """The resource of this name may have changed."""


class Topic:
    """One resource: its latest good value, and the streams that want it."""

    __slots__ = ("_last", "_ref", "_subscription", "readers")

    def __init__(self, engine: Engine, ref: Ref) -> None:
        self._ref = ref
        self.readers: dict[tuple[Marker, ResourceType, str], None] = {}
        self._last: SharedResource | None = None
        self._subscription: Subscription[SharedResource] = engine.subscribe(resource, self._changed, ref)

    def value(self) -> SharedResource | None:
        """The resource now; the previous one while it cannot be built, None if it never could."""
        try:
            self._last = self._subscription.value
        except Exception:
            logger.exception("cannot build resource %r; what was sent before stays", self._ref)
        return self._last

    def close(self) -> None:
        """Nobody wants it any more."""
        self._subscription.close()

    def _changed(self) -> None:
        for reader, resource_type, name in tuple(self.readers):
            reader.mark(resource_type, name)


class Topics:
    """All topics in use."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._topics: dict[Ref, Topic] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def join(self, ref: Ref, reader: Marker, resource_type: ResourceType, name: str) -> Topic:
        """Want a resource; the reader is marked whenever it changes."""
        topic = self._topics.get(ref)
        if topic is None:
            topic = self._topics[ref] = Topic(self.engine, ref)
        topic.readers[reader, resource_type, name] = None
        return topic

    def leave(self, ref: Ref, reader: Marker, resource_type: ResourceType, name: str) -> None:
        """Want it no more."""
        topic = self._topics.get(ref)
        if topic is None:
            return
        topic.readers.pop((reader, resource_type, name), None)
        if not topic.readers:
            topic.close()
            del self._topics[ref]


class ProxyView:
    """The configuration of one proxy as one stream sees it. Implements `ProxyResources`."""

    def __init__(
        self, topics: Topics, node: str, service_id: str, reader: Marker, wake: Callable[[], None]
    ) -> None:
        self._topics, self._reader, self._wake = topics, reader, wake
        self._node, self._service_id = node, service_id
        self._refs: dict[str, Subscription[Refs]] = {}
        self._good: dict[str, Refs] = {}
        self._joined: dict[tuple[ResourceType, str], tuple[Ref, Topic]] = {}

    def refs(self, type_url: str) -> Refs:
        """The resources of a type; the previous ones while they cannot be derived."""
        subscription = self._refs.get(type_url)
        if subscription is None:
            subscription = self._refs[type_url] = self._topics.engine.subscribe(
                refs, self._wake, self._node, self._service_id, type_url
            )
        try:
            self._good[type_url] = subscription.value
        except Exception:
            logger.exception(
                "cannot derive %s of proxy %s; what was sent before stays", type_url, self._service_id
            )
        return self._good.get(type_url, NO_REFS)

    def resource(self, resource_type: ResourceType, name: str, ref: Ref) -> SharedResource | None:
        """The resource of a ref. From now on the stream is marked when it changes."""
        joined = self._joined.get((resource_type, name))
        if joined is None or joined[0] != ref:
            topic = self._topics.join(ref, self._reader, resource_type, name)
            if joined is not None:
                self._topics.leave(joined[0], self._reader, resource_type, name)
            joined = self._joined[resource_type, name] = (ref, topic)
        return joined[1].value()

    def drop(self, resource_type: ResourceType, name: str) -> None:
        """The stream no longer wants a resource."""
        joined = self._joined.pop((resource_type, name), None)
        if joined is not None:
            self._topics.leave(joined[0], self._reader, resource_type, name)

    def close(self) -> None:
        """Let go of everything."""
        for subscription in self._refs.values():
            subscription.close()
        for resource_type, name in tuple(self._joined):
            self.drop(resource_type, name)
