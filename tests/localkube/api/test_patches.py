"""Patches by the letter of their RFCs, and by the kinds' merge keys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.localkube.api.patches import PatchError, json_patch, merge_patch, strategic_merge_patch
from pellucid.localkube.types.kinds import DEPLOYMENTS, PODS
from pellucid.localkube.types.schema import schema_of

POD = schema_of(PODS)

scalars = st.one_of(st.booleans(), st.integers(), st.text(max_size=5))
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)
objects = st.dictionaries(st.text(max_size=3), documents, max_size=4)


@given(objects, objects)
def test_a_merge_patch_applied_twice_is_applied_once(target: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(documents, documents)
def test_a_json_patch_that_replaces_everything_leaves_only_its_value(target: Any, value: Any) -> None:
    assert json_patch(target, [{"op": "replace", "path": "", "value": value}]) == value


def test_null_deletes_in_a_merge_patch() -> None:
    assert merge_patch({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}) == {"a": {"c": 2}}


def test_the_operations_of_a_json_patch() -> None:
    start = {"list": [1, 2], "a/b": {"~": 1}}
    operations = [
        {"op": "add", "path": "/list/-", "value": 3},
        {"op": "add", "path": "/list/0", "value": 0},
        {"op": "remove", "path": "/list/1"},
        {"op": "replace", "path": "/a~1b/~0", "value": 2},
        {"op": "copy", "from": "/list", "path": "/copied"},
        {"op": "move", "from": "/a~1b", "path": "/moved"},
        {"op": "test", "path": "/moved/~0", "value": 2},
    ]
    assert json_patch(start, operations) == {"list": [0, 2, 3], "copied": [0, 2, 3], "moved": {"~": 2}}
    assert start == {"list": [1, 2], "a/b": {"~": 1}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/missing"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "jump", "path": "/a"},
        {"path": "/a"},
        {"op": "add", "path": "a", "value": 1},
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError):
        json_patch({"a": 1, "list": []}, [operation])


def test_lists_with_a_merge_key_merge_and_others_are_replaced() -> None:
    live = {"spec": {"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b"}]}}
    patch = {"spec": {"containers": [{"name": "a", "args": ["y"]}, {"name": "c"}]}}
    merged = strategic_merge_patch(live, patch, POD)
    assert merged["spec"]["containers"] == [
        {"name": "a", "image": "1", "args": ["y"]},
        {"name": "b"},
        {"name": "c"},
    ]


def test_directives_delete_replace_order_and_retain() -> None:
    live = {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}
    gone = {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}
    assert strategic_merge_patch(live, gone, POD)["spec"]["containers"] == [{"name": "b"}]
    only = {"spec": {"containers": [{"name": "z"}, {"$patch": "replace"}]}}
    assert strategic_merge_patch(live, only, POD)["spec"]["containers"] == [{"name": "z"}]
    order = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert strategic_merge_patch(live, order, POD)["spec"]["containers"] == [{"name": "b"}, {"name": "a"}]
    strategy = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    recreate = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    merged = strategic_merge_patch(strategy, recreate, schema_of(DEPLOYMENTS))
    assert merged["spec"]["strategy"] == {"type": "Recreate"}


def test_primitives_merge_and_are_taken_out() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    more = strategic_merge_patch(live, {"metadata": {"finalizers": ["c"]}}, POD)
    assert more["metadata"]["finalizers"] == ["a", "b", "c"]
    fewer = strategic_merge_patch(more, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, POD)
    assert fewer["metadata"]["finalizers"] == ["b", "c"]


def test_an_element_without_its_merge_key_is_refused() -> None:
    with pytest.raises(PatchError, match="does not contain declared merge key: name"):
        strategic_merge_patch({}, {"spec": {"containers": [{"image": "x"}]}}, POD)
