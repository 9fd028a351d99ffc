"""The local copy of the API server's objects."""

from __future__ import annotations

from collections.abc import Hashable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pellucid.kube.controllers.informer import Copy, Key


class Thing(msgspec.Struct, frozen=True):
    colours: tuple[str, ...]


def by_colour(thing: Thing) -> tuple[Hashable, ...]:
    return thing.colours


keys = st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"))
things = st.builds(Thing, st.lists(st.sampled_from(("red", "blue", "green")), unique=True).map(tuple))


@given(st.lists(st.tuples(keys, st.none() | things)))
def test_an_index_finds_what_a_search_through_everything_finds(
    changes: list[tuple[Key, Thing | None]],
) -> None:
    copy: Copy[Thing] = Copy({"colour": by_colour})
    model: dict[Key, Thing] = {}
    for key, thing in changes:
        assert copy.put(key, thing) == model.pop(key, None)
        if thing is not None:
            model[key] = thing
    assert {key: copy.get(key) for key in copy} == model
    for colour in ("red", "blue", "green"):
        found = [model[key] for key in sorted(model) if colour in model[key].colours]
        assert list(copy.under("colour", colour)) == found


def test_an_entry_that_nothing_is_under_leaves_nothing_behind() -> None:
    copy: Copy[Thing] = Copy({"colour": by_colour})
    copy.put(("a", "x"), Thing(("red",)))
    copy.put(("a", "x"), None)
    assert copy.under("colour", "red") == ()
    assert len(copy) == 0
