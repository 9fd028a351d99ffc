"""A local copy of some of the API server's objects, kept current by list and watch.

Each object is reduced to the value that its reader makes of it, and only a change of that value is told
on: a heartbeat or a managed field wakes nobody. Whatever goes wrong (a connection that breaks, a version
that is too old, an API server that is away) ends in a new list, whose differences are told as if they had
been watched. What is there stays there meanwhile.

A copy can be indexed: an index names, for a value, the entries it is found under.

Source: Kubernetes docs, "Kubernetes API Concepts - Efficient detection of changes".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Generic, TypeVar, cast

import httpx2
import msgspec
import structlog
from lightkube import ALL_NS, AsyncClient
from lightkube.generic_resource import GenericNamespacedResource

from pellucid.kube.server_client import reason_of

V = TypeVar("V")
Key = tuple[str, str]
"""Namespace and name."""

CHUNK = 500
"""Objects asked for at once by a list."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
FOLLOWED_S = 300.0
"""After this long everything is listed anew: what was missed for whatever reason is not missed for longer."""

log = structlog.get_logger("pellucid.kube.informer")


class Copy(Generic[V]):
    """Values by key, and by the entries of each index. Knows nothing of where they come from."""

    def __init__(self, indexes: Mapping[str, Callable[[V], Iterable[Hashable]]] | None = None) -> None:
        self._values: dict[Key, V] = {}
        self._indexes = dict(indexes or {})
        self._entries: dict[str, dict[Hashable, dict[Key, None]]] = {name: {} for name in self._indexes}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key) -> V | None:
        """The value of `key`, None for one that isn't there."""
        return self._values.get(key)

    def under(self, index: str, entry: Hashable) -> tuple[V, ...]:
        """The values found under an entry of an index, in order of their keys."""
        return tuple(self._values[key] for key in sorted(self._entries[index].get(entry, ())))

    def put(self, key: Key, value: V | None) -> V | None:
        """Set or (None) remove a value. Returns the one before."""
        before = self._values.pop(key, None)
        if before is not None:
            self._forget(key, before)
        if value is not None:
            self._values[key] = value
            for name, entries_of in self._indexes.items():
                for entry in entries_of(value):
                    self._entries[name].setdefault(entry, {})[key] = None
        return before

    def _forget(self, key: Key, value: V) -> None:
        for name, entries_of in self._indexes.items():
            found = self._entries[name]
            for entry in entries_of(value):
                found[entry].pop(key, None)
                if not found[entry]:
                    del found[entry]


class Informer(Generic[V]):
    """Keeps a `Copy` current. `run` never returns by itself; `synced` is set by the first whole list."""

    def __init__(
        self,
        client: AsyncClient,
        resource: type[GenericNamespacedResource],
        copy: Copy[V],
        read: Callable[[Any], V | None],
        changed: Callable[[Key, V | None, V | None], object],
        *,
        labels: Mapping[str, Any] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """read: the value of an object, None for one that does not matter; changed(key, before, after)."""
        self.copy = copy
        self.synced = asyncio.Event()
        self._client = client
        self._resource = resource
        self._read = read
        self._changed = changed
        self._labels = dict(labels) if labels else None
        self._sleep = sleep

    async def run(self) -> None:
        """List and watch until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                version = await self._list()
                pause = FIRST_PAUSE_S
                await self._watch(version)
            except (httpx2.HTTPError, OSError, msgspec.MsgspecError) as error:
                log.warning("following is interrupted", kind=self._resource.__name__, reason=reason_of(error))
                await self._sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _list(self) -> str:
        """Take over everything there is. Returns the version of the list."""
        listed = self._client.list(self._resource, namespace=ALL_NS, chunk_size=CHUNK, labels=self._labels)
        found = {key_of(item): item async for item in listed}
        for key, item in found.items():
            self._set(key, self._read(item))
        for key in tuple(self.copy):
            if key not in found:
                self._set(key, None)
        self.synced.set()
        return listed.resourceVersion

    async def _watch(self, version: str) -> None:
        watched = self._client.watch(
            self._resource, namespace=ALL_NS, labels=self._labels, resource_version=version
        )
        events = cast(AsyncGenerator[tuple[str, Any], None], watched)
        # A connection that died without a word would otherwise be followed for ever.
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWED_S), aclosing(events):
                async for kind, item in events:
                    if kind != "BOOKMARK":
                        self._set(key_of(item), None if kind == "DELETED" else self._read(item))

    def _set(self, key: Key, value: V | None) -> None:
        before = self.copy.get(key)
        if before != value:
            self.copy.put(key, value)
            self._changed(key, before, value)


def key_of(item: Mapping[str, Any]) -> Key:
    """Namespace and name of an object of the API server."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
