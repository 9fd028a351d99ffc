"""Two layers behave as one mapping, and comparing them is comparing the whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.xds.layers import Layers, differing

mappings = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3))


def flat(layers: Layers) -> dict[str, object]:
    return {**layers.shared, **layers.own}


@given(own=mappings, shared=mappings)
def test_layers_are_the_mapping_in_which_the_own_one_wins(
    own: dict[str, int], shared: dict[str, int]
) -> None:
    layers = Layers(own, shared)
    assert dict(layers) == flat(layers)
    assert len(layers) == len(flat(layers))
    assert all((name in layers) == (name in flat(layers)) for name in "abcdefg")
    assert layers == flat(layers)


@given(own=mappings, shared=mappings, other_own=mappings, other_shared=mappings)
def test_layers_differ_in_the_names_their_mappings_differ_in(
    own: dict[str, int],
    shared: dict[str, int],
    other_own: dict[str, int],
    other_shared: dict[str, int],
) -> None:
    before, now = Layers(own, shared), Layers(other_own, other_shared)
    left, right = flat(before), flat(now)
    expected = {name for name in "abcdef" if left.get(name) != right.get(name)}
    assert sorted(differing(before, now)) == sorted(expected)
    assert sorted(differing(before, right)) == sorted(expected)
    assert (before == now) == (not expected)


@given(own=mappings, other_own=mappings, shared=mappings)
def test_a_shared_layer_that_is_the_same_object_is_not_looked_at(
    own: dict[str, int], other_own: dict[str, int], shared: dict[str, int]
) -> None:
    class Unreadable(dict[str, int]):
        def __iter__(self) -> object:  # type: ignore[override]
            raise AssertionError("looked at")

    kept = Unreadable(shared)
    expected = differing(Layers(own, shared), Layers(other_own, dict(shared)))
    assert set(differing(Layers(own, kept), Layers(other_own, kept))) == set(expected)
