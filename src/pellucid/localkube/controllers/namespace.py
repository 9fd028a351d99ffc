"""Namespace life: its contents go before it does.

Source: Kubernetes docs, "Namespaces"; API reference, Namespace.status.conditions.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pellucid.localkube.controllers.controller import Controller, itself
from pellucid.localkube.controllers.plan import NOTHING, Key, Patch, Plan, Remove
from pellucid.localkube.controllers.reading import (
    Object,
    is_deleting,
    name_of,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
    with_condition,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import EVENTS, NAMESPACES

FINALIZER = "kubernetes"
RECHECK_SECONDS = 5.0


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Delete everything in a namespace that is being deleted; once it is empty, let it go."""
    namespace = view.get(NAMESPACES, "", key.name)
    if namespace is None or not is_deleting(namespace):
        return NOTHING
    contents = [
        (resource, item)
        for resource in view.resources()
        if resource.namespaced
        for item in view.list(resource, key.name)
    ]
    if not contents:
        left = [name for name in spec_of(namespace).get("finalizers") or () if name != FINALIZER]
        return Plan((Patch(NAMESPACES, "", key.name, {"spec": {"finalizers": left}}, "finalize"),))
    removals = tuple(
        Remove(resource, namespace_of(item), name_of(item), uid_of(item))
        for resource, item in contents
        if not is_deleting(item)
    )
    waiting = [item for resource, item in contents if is_deleting(item) and resource.stored != EVENTS.stored]
    told = _told(namespace, waiting, now) if not removals else ()
    return Plan((*removals, *told), RECHECK_SECONDS)


def _told(namespace: Object, waiting: list[Object], now: datetime) -> tuple[Patch, ...]:
    kinds = sorted({str(item["kind"]) for item in waiting})
    counts = ", ".join(
        f"{kind} has {sum(i['kind'] == kind for i in waiting)} resource instances" for kind in kinds
    )
    remaining = {
        "type": "NamespaceContentRemaining",
        "status": "True" if waiting else "False",
        "reason": "SomeResourcesRemain" if waiting else "ContentRemoved",
        "message": f"Some resources are remaining: {counts}"
        if waiting
        else "All content successfully removed",
    }
    before = status_of(namespace).get("conditions") or []
    after = with_condition(before, remaining, now)
    if after == before:
        return ()
    return (Patch(NAMESPACES, "", name_of(namespace), {"status": {"conditions": after}}, "status"),)


def _its_namespace(view: View, item: Object) -> Iterable[Key]:
    """Only deletion has to do with contents, so only then are they looked at."""
    namespace = view.get(NAMESPACES, "", namespace_of(item)) if namespace_of(item) else None
    return (Key("", name_of(namespace)),) if namespace is not None and is_deleting(namespace) else ()


NAMESPACE_CONTROLLER = Controller("namespace", {NAMESPACES: itself}, reconcile, triggers_any=_its_namespace)
