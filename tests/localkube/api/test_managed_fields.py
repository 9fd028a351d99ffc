"""Who owns which field, and what an apply may and may not do."""

from __future__ import annotations

import pytest

from pellucid.localkube.api.admission import WriteOptions
from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import CONFIG_MAPS, DEPLOYMENTS, SERVICES
from tests.localkube.api.cluster import config_map, deployment, resources_with_default_namespace

Data = dict[str, str]


@pytest.fixture
async def resources() -> Resources:
    return await resources_with_default_namespace()


def by(manager: str, *, force: bool = False) -> WriteOptions:
    return WriteOptions(manager=manager, force=force)


async def apply(
    resources: Resources, manager: str, data: dict[str, str], *, force: bool = False
) -> dict[str, str]:
    patch = {"metadata": {"name": "c"}, "data": data}
    options = by(manager, force=force)
    made = await resources.patch(CONFIG_MAPS, "default", "c", patch, kind="apply", options=options)
    found: Data = made.get("data", {})
    return found


async def test_two_managers_share_an_object_field_by_field(resources: Resources) -> None:
    await apply(resources, "one", {"a": "1"})
    assert await apply(resources, "two", {"b": "2"}) == {"a": "1", "b": "2"}
    assert await apply(resources, "one", {}) == {"b": "2"}


async def test_a_field_of_another_is_taken_only_by_force(resources: Resources) -> None:
    await apply(resources, "one", {"a": "1"})
    with pytest.raises(ApiError) as refusal:
        await apply(resources, "two", {"a": "2"})
    assert refusal.value.code == 409
    assert refusal.value.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert await apply(resources, "two", {"a": "2"}, force=True) == {"a": "2"}
    with pytest.raises(ApiError, match='conflict with "two"'):
        await apply(resources, "one", {"a": "1"})


async def test_an_equal_value_is_shared_and_outlives_one_owner(resources: Resources) -> None:
    await apply(resources, "one", {"a": "1"})
    await apply(resources, "two", {"a": "1"})
    assert await apply(resources, "one", {}) == {"a": "1"}
    assert await apply(resources, "two", {}) == {}


async def test_an_update_owns_what_it_changed(resources: Resources) -> None:
    await resources.create(CONFIG_MAPS, "default", config_map("c", a="1"), options=by("creator"))
    patch = {"data": {"b": "2"}}
    made = await resources.patch(CONFIG_MAPS, "default", "c", patch, options=by("editor"))
    fields = {entry["manager"]: entry["fieldsV1"] for entry in made["metadata"]["managedFields"]}
    assert fields["editor"] == {"f:data": {"f:b": {}}}
    assert fields["creator"] == {"f:data": {".": {}, "f:a": {}}}


async def test_elements_of_lists_are_owned_by_their_key(resources: Resources) -> None:
    wanted = deployment("d")
    await resources.patch(DEPLOYMENTS, "default", "d", wanted, kind="apply", options=by("one"))
    side = deployment("d")
    side["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "s:1"}]
    made = await resources.patch(DEPLOYMENTS, "default", "d", side, kind="apply", options=by("two"))
    containers = made["spec"]["template"]["spec"]["containers"]
    assert [one["name"] for one in containers] == ["c", "side"]
    again = await resources.patch(DEPLOYMENTS, "default", "d", wanted, kind="apply", options=by("one"))
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_an_element_that_nobody_applies_any_more_goes_with_what_the_server_put_in(
    resources: Resources,
) -> None:
    async def ports(*numbers: int) -> list[int]:
        wanted = [{"name": f"p{number}", "port": number} for number in numbers]
        patch = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": wanted}}
        made = await resources.patch(SERVICES, "default", "s", patch, kind="apply", options=by("one"))
        return [port["port"] for port in made["spec"]["ports"]]

    assert await ports(80, 443) == [80, 443]
    assert await ports(443) == [443]
