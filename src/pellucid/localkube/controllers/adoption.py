"""Adoption: an object without a controller that an owner's selector matches becomes that owner's."""

from __future__ import annotations

from collections.abc import Callable

from pellucid.localkube.controllers.plan import Change, Patch
from pellucid.localkube.controllers.reading import (
    Object,
    controller_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    selects,
    spec_of,
    uid_of,
)
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import Resource


def adoptions(
    view: View, resource: Resource, owner: Object, wanted: Callable[[Object], bool]
) -> tuple[Change, ...]:
    """The patches that make `owner` the controller of the orphans it selects and that are `wanted`.

    None while it is being deleted: what it leaves behind as orphans stays so.
    """
    if is_deleting(owner):
        return ()
    selector = spec_of(owner).get("selector")
    return tuple(
        Patch(resource, namespace_of(item), name_of(item), _owned(item, owner))
        for item in view.list(resource, namespace_of(owner))
        if controller_of(item) is None
        and not is_deleting(item)
        and selects(selector, labels_of(item))
        and wanted(item)
    )


def _owned(item: Object, owner: Object) -> Object:
    references = [*(item["metadata"].get("ownerReferences") or ()), owner_reference(owner)]
    return {"metadata": {"uid": uid_of(item), "ownerReferences": references}}
