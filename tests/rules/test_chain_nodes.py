"""Shares of shares still make up the whole."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pellucid.rules.chain_nodes import flattened, shares_of
from pellucid.rules.compiled_chain import RESOLVER, SPLITTER, DiscoveryGraphNode, DiscoverySplit


def splits_of_100() -> st.SearchStrategy[tuple[DiscoverySplit, ...]]:
    """Weights in hundredths that add up to 100."""
    cuts = st.lists(st.integers(0, 10000), max_size=5).map(lambda inner: [0, *sorted(inner), 10000])
    return cuts.map(
        lambda at: tuple(
            DiscoverySplit((end - start) / 100, f"resolver:{place}")
            for place, (start, end) in enumerate(pairwise(at))
        )
    )


@given(st.integers(0, 10000).map(lambda hundredths: hundredths / 100), splits_of_100())
def test_shares_add_up_to_the_weight_divided(weight: float, splits: tuple[DiscoverySplit, ...]) -> None:
    shares = shares_of(weight, splits)
    assert round(sum(share.weight for share in shares) * 100) == round(weight * 100)


@given(st.integers(0, 10000).map(lambda hundredths: hundredths / 100), splits_of_100())
def test_each_share_is_exact_to_a_hundredth(weight: float, splits: tuple[DiscoverySplit, ...]) -> None:
    for share, split in zip(shares_of(weight, splits), splits, strict=True):
        assert abs(share.weight - weight * split.weight / 100) < 0.0100001


@given(splits_of_100(), splits_of_100(), splits_of_100())
def test_flattened_splitters_still_send_everything_somewhere(
    outer: tuple[DiscoverySplit, ...],
    inner: tuple[DiscoverySplit, ...],
    innermost: tuple[DiscoverySplit, ...],
) -> None:
    chained = {
        "splitter:a": _leading_to(outer, "a", "splitter:b"),
        "splitter:b": _leading_to(inner, "b", "splitter:c"),
        "splitter:c": DiscoveryGraphNode(SPLITTER, "c", splits=innermost),
    }
    resolvers = {
        split.next_node: DiscoveryGraphNode(RESOLVER, split.next_node.removeprefix("resolver:"))
        for split in (*outer, *inner, *innermost)
    }
    splits = flattened({**chained, **resolvers})["splitter:a"].splits
    assert round(sum(split.weight for split in splits) * 100) == 10000
    assert all(split.next_node.startswith("resolver:") for split in splits)


def _leading_to(splits: tuple[DiscoverySplit, ...], name: str, following: str) -> DiscoveryGraphNode:
    """A splitter whose first split goes on to another splitter."""
    first, *others = splits
    return DiscoveryGraphNode(SPLITTER, name, splits=(DiscoverySplit(first.weight, following), *others))
