"""A custom kind goes with its objects, and not before them."""

from __future__ import annotations

from typing import Any

from pellucid.localkube.controllers.custom_resource_definition import FINALIZER
from pellucid.localkube.controllers.reading import is_deleting
from pellucid.localkube.types.kinds import CUSTOM_RESOURCE_DEFINITIONS, custom_resources
from tests.localkube.controllers.cluster import Cluster, cluster

DEFINITION: dict[str, Any] = {
    "metadata": {"name": "boats.example.test"},
    "spec": {
        "group": "example.test",
        "scope": "Namespaced",
        "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}


async def defined(running: Cluster) -> Any:
    """The kind, once it is looked after."""
    await running.create(CUSTOM_RESOURCE_DEFINITIONS, DEFINITION)
    [definition] = await running.until(
        CUSTOM_RESOURCE_DEFINITIONS,
        lambda items: any(FINALIZER in (item["metadata"].get("finalizers") or ()) for item in items),
    )
    return custom_resources(definition)[0]


async def test_a_definition_goes_once_its_objects_have_gone() -> None:
    async with cluster() as running:
        boats = await defined(running)
        boat = {"metadata": {"name": "dinghy", "finalizers": ["example.test/moored"]}}
        await running.create(boats, {**boat, "apiVersion": "example.test/v1", "kind": "Boat"})
        await running.resources.delete(CUSTOM_RESOURCE_DEFINITIONS, "", "boats.example.test")
        await running.until(boats, lambda items: all(map(is_deleting, items)))
        assert running.resources.peek(CUSTOM_RESOURCE_DEFINITIONS, "", "boats.example.test")
        await running.resources.patch(boats, "default", "dinghy", {"metadata": {"finalizers": None}})
        await running.until(CUSTOM_RESOURCE_DEFINITIONS, lambda items: not items)


async def test_one_without_objects_goes_at_once() -> None:
    async with cluster() as running:
        await defined(running)
        await running.resources.delete(CUSTOM_RESOURCE_DEFINITIONS, "", "boats.example.test")
        await running.until(CUSTOM_RESOURCE_DEFINITIONS, lambda items: not items)
