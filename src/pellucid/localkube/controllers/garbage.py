"""Garbage collection: an object goes when all its owners are gone, in the way its owner's deletion asks for.

Keys here name an object by its uid. Source: Kubernetes docs, "Garbage Collection".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pellucid.localkube.api.life import FOREGROUND, ORPHAN
from pellucid.localkube.controllers.controller import Controller
from pellucid.localkube.controllers.plan import NOTHING, Change, Key, Patch, Plan, Reference, Remove
from pellucid.localkube.controllers.reading import Object, is_deleting, name_of, namespace_of, uid_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import Resource


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Finish a foreground or orphaning deletion, or delete what has no owner left."""
    found = view.found(key.name)
    if found is None:
        return NOTHING
    resource, item = found
    if is_deleting(item):
        finalizers = item["metadata"].get("finalizers") or ()
        if ORPHAN in finalizers:
            return Plan((*_orphaned(view, item), _finalized(resource, item, ORPHAN)))
        if FOREGROUND in finalizers:
            return Plan(_dependents_first(view, resource, item))
        return NOTHING
    return Plan(_without_owners(view, resource, item))


def _without_owners(view: View, resource: Resource, item: Object) -> tuple[Change, ...]:
    owners = _owners(item)
    if not owners:
        return ()
    missing: list[Reference] = []
    for owner in owners:
        kind = _resource_of(view, owner)
        if kind is None or _is_there(view, kind, owner, item):
            return ()
        place = namespace_of(item) if kind.namespaced else ""
        missing.append(Reference(kind, place, owner["name"], owner["uid"]))
    gone = Remove(resource, namespace_of(item), name_of(item), uid_of(item), unless=tuple(missing))
    return (gone,)


def _is_there(view: View, kind: Resource, owner: Mapping[str, Any], item: Object) -> bool:
    found = view.found(owner["uid"])
    return found is not None and (not kind.namespaced or namespace_of(found[1]) == namespace_of(item))


def _dependents_first(view: View, resource: Resource, item: Object) -> tuple[Change, ...]:
    dependents = view.dependents(uid_of(item))
    blocking = [entry for entry in dependents if _blocks(entry[1], uid_of(item))]
    if not blocking:
        return (_finalized(resource, item, FOREGROUND),)
    return tuple(
        Remove(kind, namespace_of(one), name_of(one), uid_of(one), propagation="Foreground")
        for kind, one in dependents
        if not is_deleting(one)
    )


def _blocks(item: Object, owner_uid: str) -> bool:
    return any(owner["uid"] == owner_uid and owner.get("blockOwnerDeletion") for owner in _owners(item))


def _orphaned(view: View, owner: Object) -> tuple[Change, ...]:
    return tuple(
        Patch(
            kind,
            namespace_of(item),
            name_of(item),
            {
                "metadata": {
                    "ownerReferences": [ref for ref in _owners(item) if ref["uid"] != uid_of(owner)] or None
                }
            },
        )
        for kind, item in view.dependents(uid_of(owner))
    )


def _finalized(resource: Resource, item: Object, finalizer: str) -> Patch:
    left = [name for name in item["metadata"].get("finalizers") or () if name != finalizer]
    patch = {"metadata": {"finalizers": left or None}}
    return Patch(resource, namespace_of(item), name_of(item), patch)


def _owners(item: Object) -> list[dict[str, Any]]:
    return list(item["metadata"].get("ownerReferences") or ())


def _resource_of(view: View, owner: Mapping[str, Any]) -> Resource | None:
    """The followed resource of an owner's kind; None if it is not one whose absence could be told."""
    group = str(owner["apiVersion"]).rpartition("/")[0]
    for resource in view.resources():
        if resource.kind == owner["kind"] and resource.group == group:
            return resource
    return None


def _concerned(view: View, item: Object) -> Iterable[Key]:
    """The object, what depends on it and what it depends on."""
    if item["metadata"].get("ownerReferences") or item["metadata"].get("finalizers"):
        yield Key("", uid_of(item))
    for owner in _owners(item):
        yield Key("", owner["uid"])
    for _, dependent in view.dependents(uid_of(item)):
        yield Key("", uid_of(dependent))


GARBAGE_CONTROLLER = Controller("garbage-collector", {}, reconcile, triggers_any=_concerned)
