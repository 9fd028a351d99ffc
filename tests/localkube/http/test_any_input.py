"""Whatever is sent: an answer that names what is wrong, never a failure of the server."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.types.kinds import BUILT_IN, CUSTOM_RESOURCE_DEFINITIONS, Resource
from tests.localkube.api.cluster import resources_with_default_namespace
from tests.localkube.http.test_custom_kinds import SPEC, definition, gadget
from tests.localkube.http.test_every_kind import ALL

Object = dict[str, Any]
Place = tuple[str | int, ...]

WHOLE = [*ALL, definition()]
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """The path of everything in a value."""
    if path:
        yield path
    if isinstance(value, dict):
        for name, one in value.items():
            yield from places(one, (*path, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from places(one, (*path, number))


def replaced(value: Object, path: Place, change: Callable[[Any, str | int], None]) -> Object:
    changed = copy.deepcopy(value)
    inner: Any = changed
    for step in path[:-1]:
        inner = inner[step]
    change(inner, path[-1])
    return changed


@st.composite
def spoilt(draw: st.DrawFn) -> Object:
    """A manifest with one to three places that are something else, or gone."""
    manifest = {**draw(st.sampled_from(WHOLE))}
    manifest.setdefault("metadata", {"name": "thing", "labels": {"a": "b"}, "annotations": {"c": "d"}})
    for _ in range(draw(st.integers(1, 3))):
        found = [place for place in places(manifest) if place[0] not in ("kind", "apiVersion")]
        if not found:
            break
        path, junk = draw(st.sampled_from(found)), draw(JUNK)
        gone = draw(st.booleans())

        def change(inner: Any, step: str | int, gone: bool = gone, junk: Any = junk) -> None:
            if gone:
                del inner[step]
            else:
                inner[step] = junk

        manifest = replaced(manifest, path, change)
    return manifest


def resource(manifest: Object) -> Resource:
    kind = manifest["apiVersion"], manifest["kind"]
    return next(one for one in BUILT_IN if (one.api_version, one.kind) == kind)


def original(manifest: Object) -> Object:
    kind = manifest["kind"]
    found = next(one for one in WHOLE if one["kind"] == kind)
    return {"metadata": {"name": "thing"}, **copy.deepcopy(found)}


def check(refusal: ApiError) -> None:
    assert 400 <= refusal.code < 500, refusal.message
    assert refusal.message


@settings(max_examples=300, deadline=None)
@given(manifest=spoilt())
def test_a_spoilt_manifest_is_stored_or_refused_with_a_reason(manifest: Object) -> None:
    async def store() -> None:
        resources = await resources_with_default_namespace()
        kind = resource(manifest)
        place = "default" if kind.namespaced else ""
        try:
            made = await resources.create(kind, place, manifest)
            assert msgspec.json.encode(made)
        except ApiError as refusal:
            check(refusal)
        if kind.stored == CUSTOM_RESOURCE_DEFINITIONS.stored:
            return
        first = await resources.create(kind, place, {**original(manifest), "metadata": {"name": "other"}})
        try:
            changed = {**manifest, "metadata": first["metadata"]}
            await resources.update(kind, place, changed)
        except ApiError as refusal:
            check(refusal)

    asyncio.run(store())


@settings(max_examples=200, deadline=None)
@given(patch=JUNK, kind=st.sampled_from(["merge", "strategic", "json", "apply"]), one=st.sampled_from(ALL))
def test_any_patch_is_taken_or_refused_with_a_reason(patch: Any, kind: str, one: Object) -> None:
    async def change() -> None:
        resources = await resources_with_default_namespace()
        target = resource(one)
        place = "default" if target.namespaced else ""
        await resources.create(target, place, original(one))
        try:
            await resources.patch(target, place, "thing", patch, kind=kind)
        except ApiError as refusal:
            check(refusal)

    asyncio.run(change())


@settings(max_examples=200, deadline=None)
@given(spec=st.dictionaries(st.sampled_from([*SPEC["properties"], "other"]), JUNK), again=JUNK)
def test_any_custom_object_is_stored_or_refused_with_a_reason(spec: Object, again: Any) -> None:
    async def store() -> None:
        resources = await resources_with_default_namespace()
        await resources.create(CUSTOM_RESOURCE_DEFINITIONS, "", definition())
        kind = resources.kind("example.com", "gadgets", "v1")
        assert kind is not None
        try:
            await resources.create(kind, "default", gadget(**spec))
            await resources.patch(kind, "default", "g", {"spec": again})
        except ApiError as refusal:
            check(refusal)

    asyncio.run(store())
