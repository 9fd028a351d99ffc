"""A list in pages is of one moment, whatever happens between them."""

from __future__ import annotations

import pytest

from pellucid.localkube.api.pages import KEPT_SECONDS, KEPT_SNAPSHOTS, Snapshots
from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import CONFIG_MAPS
from pellucid.state.snapshot import Snapshot
from tests.localkube.api.cluster import config_map, resources_with_default_namespace


@pytest.fixture
async def resources() -> Resources:
    resources = await resources_with_default_namespace()
    for name in "abcde":
        await resources.create(CONFIG_MAPS, "default", config_map(name))
    return resources


def names(objects: tuple[dict[str, dict[str, str]], ...]) -> str:
    return "".join(one["metadata"]["name"] for one in objects)


async def test_changes_between_pages_are_not_seen(resources: Resources) -> None:
    first = resources.page(CONFIG_MAPS, "default", limit=2)
    assert (names(first.objects), first.remaining) == ("ab", 3)
    await resources.delete(CONFIG_MAPS, "default", "d")
    await resources.create(CONFIG_MAPS, "default", config_map("cc"))
    second = resources.page(CONFIG_MAPS, "default", limit=2, token=first.token)
    third = resources.page(CONFIG_MAPS, "default", limit=2, token=second.token)
    assert (names(second.objects), names(third.objects), third.token) == ("cd", "e", "")
    assert first.revision == second.revision == third.revision < resources.revision


async def test_a_moment_no_longer_kept_is_said_with_a_token_for_the_rest_as_it_is_now(
    resources: Resources,
) -> None:
    first = resources.page(CONFIG_MAPS, "default", limit=2)
    for _ in range(KEPT_SNAPSHOTS):
        await resources.patch(CONFIG_MAPS, "default", "a", {"data": {"n": str(resources.revision)}})
        resources.page(CONFIG_MAPS, "default", limit=1)
    await resources.delete(CONFIG_MAPS, "default", "c")
    with pytest.raises(ApiError, match="The provided continue parameter is too old") as refusal:
        resources.page(CONFIG_MAPS, "default", limit=2, token=first.token)
    assert (refusal.value.code, refusal.value.reason) == (410, "Expired")
    go_on = refusal.value.status["metadata"]["continue"]
    assert names(resources.page(CONFIG_MAPS, "default", token=go_on).objects) == "de"


async def test_a_token_that_is_none_is_refused(resources: Resources) -> None:
    for token in ("!", "aGVsbG8=", "é"):
        with pytest.raises(ApiError, match="continue key is not valid"):
            resources.page(CONFIG_MAPS, "default", token=token)


def test_moments_are_kept_for_a_while() -> None:
    now = 0.0
    moments = Snapshots(lambda: now)
    moment = Snapshot()
    moments.keep(moment)
    now = KEPT_SECONDS
    assert moments.at(moment.revision) is moment
    now += 1
    assert moments.at(moment.revision) is None
