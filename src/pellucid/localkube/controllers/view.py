"""What controllers read: a cache of the API's objects, kept by watching, indexed by namespace and owner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pellucid.localkube.controllers.reading import (
    Object,
    controller_of,
    name_of,
    namespace_of,
    uid_of,
    version_of,
)
from pellucid.localkube.types.kinds import Resource

Stored = tuple[str, str]
Entry = tuple[Resource, str, str]


class View:
    """The latest known objects. Reading is free; `put` and `drop` are for the loop that feeds it.

    A write's answer is put here at once, so a controller never acts twice on what it has itself just done;
    an older version arriving later by the watch changes nothing.
    """

    def __init__(self) -> None:
        self._items: dict[Stored, dict[str, dict[str, Object]]] = defaultdict(lambda: defaultdict(dict))
        self._dependents: dict[str, set[Entry]] = defaultdict(set)
        self._by_uid: dict[str, tuple[Resource, Object]] = {}
        self._resources: dict[Stored, Resource] = {}
        self._followed_to: dict[Stored, int] = {}

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object of that name, or None."""
        return self._items[resource.stored][namespace].get(name)

    def list(self, resource: Resource, namespace: str = "") -> tuple[Object, ...]:
        """All objects of a resource, of one namespace if given."""
        spaces = self._items[resource.stored]
        if namespace:
            return tuple(spaces[namespace].values()) if namespace in spaces else ()
        return tuple(item for space in spaces.values() for item in space.values())

    def controlled(self, resource: Resource, owner: Object) -> tuple[Object, ...]:
        """The objects of a resource whose controller is `owner` (by uid), oldest name order kept stable."""
        found = (item for kind, item in self.dependents(uid_of(owner)) if kind.stored == resource.stored)
        return tuple(
            sorted(
                (item for item in found if (controller_of(item) or {}).get("uid") == uid_of(owner)),
                key=name_of,
            )
        )

    def dependents(self, uid: str) -> tuple[tuple[Resource, Object], ...]:
        """Every cached object with an owner reference to `uid`."""
        found = []
        for resource, namespace, name in self._dependents.get(uid, ()):
            item = self.get(resource, namespace, name)
            if item is not None:
                found.append((resource, item))
        return tuple(found)

    def resources(self) -> tuple[Resource, ...]:
        """The resources that are followed."""
        return tuple(self._resources.values())

    def found(self, uid: str) -> tuple[Resource, Object] | None:
        """The object of that uid, whatever its kind."""
        return self._by_uid.get(uid)

    def follow(self, resource: Resource, revision: int) -> None:
        """Say that the objects of `resource` are known as they were at a revision."""
        self._resources[resource.stored] = resource
        self._followed_to[resource.stored] = revision

    def followed_to(self, resource: Resource) -> int:
        """The revision up to which the objects of `resource` are known; 0 where they are not followed."""
        return self._followed_to.get(resource.stored, 0)

    def put(self, resource: Resource, item: Object) -> bool:
        """Take an object's new state; False if what is known is as new."""
        known = self.get(resource, namespace_of(item), name_of(item))
        if known is not None and version_of(known) >= version_of(item):
            return False
        if known is not None:
            self._unlink(resource, known)
        self._items[resource.stored][namespace_of(item)][name_of(item)] = item
        self._by_uid[uid_of(item)] = (resource, item)
        for uid in _owner_uids(item):
            self._dependents[uid].add((resource, namespace_of(item), name_of(item)))
        return True

    def drop(self, resource: Resource, item: Object) -> bool:
        """Forget an object; False if that very object (by uid) was not known."""
        known = self.get(resource, namespace_of(item), name_of(item))
        if known is None or uid_of(known) != uid_of(item):
            return False
        self._unlink(resource, known)
        del self._items[resource.stored][namespace_of(item)][name_of(item)]
        return True

    def _unlink(self, resource: Resource, item: Object) -> None:
        self._by_uid.pop(uid_of(item), None)
        for uid in _owner_uids(item):
            entries = self._dependents[uid]
            entries.discard((resource, namespace_of(item), name_of(item)))
            if not entries:
                del self._dependents[uid]


def _owner_uids(item: Object) -> Iterable[str]:
    references: Iterable[Mapping[str, str]] = item["metadata"].get("ownerReferences") or ()
    return [str(reference.get("uid", "")) for reference in references]
