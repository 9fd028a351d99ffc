"""A custom kind's objects go before its definition does, each by its own finalizers.

Source: apiextensions-apiserver, pkg/controller/finalizer; Kubernetes docs, "Custom Resources".
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
    uid_of,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import CUSTOM_RESOURCE_DEFINITIONS, custom_resources

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
RECHECK_SECONDS = 1.0


def reconcile(view: View, key: Key, now: datetime) -> Plan:
    """Put the finalizer on a definition; once it is being deleted, delete its objects, then let it go."""
    definition = view.get(CUSTOM_RESOURCE_DEFINITIONS, "", key.name)
    if definition is None:
        return NOTHING
    finalizers = list(definition["metadata"].get("finalizers") or ())
    if not is_deleting(definition):
        return NOTHING if FINALIZER in finalizers else _with_finalizers(key, [*finalizers, FINALIZER])
    if FINALIZER not in finalizers:
        return NOTHING
    served = custom_resources(definition)
    objects = view.list(served[0]) if served else ()
    if not objects:
        return _with_finalizers(key, [each for each in finalizers if each != FINALIZER])
    removals = tuple(
        Remove(served[0], namespace_of(item), name_of(item), uid_of(item))
        for item in objects
        if not is_deleting(item)
    )
    return Plan(removals, RECHECK_SECONDS)


def _with_finalizers(key: Key, finalizers: list[str]) -> Plan:
    patch = {"metadata": {"finalizers": finalizers or None}}
    return Plan((Patch(CUSTOM_RESOURCE_DEFINITIONS, "", key.name, patch),))


def _its_definition(view: View, item: Object) -> Iterable[Key]:
    """Only deletion has to do with objects, so only then are they looked at."""
    group = str(item.get("apiVersion", "")).partition("/")[0]
    return tuple(
        Key("", name_of(definition))
        for definition in view.list(CUSTOM_RESOURCE_DEFINITIONS)
        if is_deleting(definition) and definition["spec"]["group"] == group
    )


CUSTOM_RESOURCE_DEFINITION_CONTROLLER = Controller(
    "custom-resource-definition",
    {CUSTOM_RESOURCE_DEFINITIONS: itself},
    reconcile,
    triggers_any=_its_definition,
)
