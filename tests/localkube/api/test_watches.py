"""Watching: nothing missed, nothing twice, and a plain refusal when that cannot be had."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.api.watches import BEHIND, Event
from pellucid.localkube.types.kinds import CONFIG_MAPS
from tests.localkube.api.cluster import config_map, resources_with_default_namespace


@pytest.fixture
async def resources() -> Resources:
    return await resources_with_default_namespace()


async def taken(events: AsyncIterator[Event], count: int) -> list[tuple[str, str]]:
    return [
        (event.type, event.object["metadata"]["name"])
        for event in [await anext(events) for _ in range(count)]
    ]


async def test_a_watch_from_nothing_starts_with_what_is_there(resources: Resources) -> None:
    await resources.create(CONFIG_MAPS, "default", config_map("a"))
    events = resources.watch(CONFIG_MAPS, "default")
    assert await taken(events, 1) == [("ADDED", "a")]
    await resources.create(CONFIG_MAPS, "default", config_map("b"))
    assert await taken(events, 1) == [("ADDED", "b")]


async def test_a_watch_from_a_version_has_all_that_came_after_it(resources: Resources) -> None:
    first = await resources.create(CONFIG_MAPS, "default", config_map("a"))
    await resources.patch(CONFIG_MAPS, "default", "a", {"data": {"k": "v"}})
    await resources.delete(CONFIG_MAPS, "default", "a")
    since = int(first["metadata"]["resourceVersion"])
    events = resources.watch(CONFIG_MAPS, "default", since=since)
    assert await taken(events, 2) == [("MODIFIED", "a"), ("DELETED", "a")]


async def test_entering_and_leaving_a_selector_is_being_added_and_deleted(resources: Resources) -> None:
    await resources.create(CONFIG_MAPS, "default", config_map("a"))
    events = resources.watch(CONFIG_MAPS, since=resources.revision, label_selector="x=y")
    await resources.patch(CONFIG_MAPS, "default", "a", {"metadata": {"labels": {"x": "y"}}})
    await resources.patch(CONFIG_MAPS, "default", "a", {"metadata": {"labels": {"x": "z"}}})
    assert await taken(events, 2) == [("ADDED", "a"), ("DELETED", "a")]


async def test_a_deletion_has_a_version_of_its_own(resources: Resources) -> None:
    made = await resources.create(CONFIG_MAPS, "default", config_map("a"))
    events = resources.watch(CONFIG_MAPS, since=resources.revision)
    await resources.delete(CONFIG_MAPS, "default", "a")
    last = (await anext(events)).object["metadata"]["resourceVersion"]
    assert int(last) == resources.revision > int(made["metadata"]["resourceVersion"])


async def test_a_version_from_the_future_or_the_forgotten_past_is_expired(resources: Resources) -> None:
    with pytest.raises(ApiError) as refusal:
        await anext(resources.watch(CONFIG_MAPS, since=resources.revision + 1))
    assert (refusal.value.code, refusal.value.reason) == (410, "Expired")


async def test_a_watcher_that_does_not_read_is_ended(resources: Resources) -> None:
    await resources.create(CONFIG_MAPS, "default", config_map("a"))
    events = resources.watch(CONFIG_MAPS, "default")
    assert await taken(events, 1) == [("ADDED", "a")]
    await resources.patch(CONFIG_MAPS, "default", "a", {"data": {"n": "first"}})
    assert await taken(events, 1) == [("MODIFIED", "a")]
    for number in range(BEHIND + 1):
        await resources.patch(CONFIG_MAPS, "default", "a", {"data": {"n": str(number)}})
    with pytest.raises(ApiError, match="too old resource version"):
        await anext(events)
