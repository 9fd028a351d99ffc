"""What a chain's graph of nodes must be like, and how it is tidied: no circles, no splitter behind another.

Source: Consul 1.10 agent/consul/discoverychain/compile.go (detectCircularReferences,
flattenAdjacentSplitterNodes, removeUnusedNodes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor

import msgspec

from pellucid.rules.compiled_chain import SPLITTER, DiscoveryGraphNode, DiscoverySplit


class ChainError(ValueError):
    """The config entries do not make a discovery chain; the text is Consul's."""


def refuse_cycles(nodes: Mapping[str, DiscoveryGraphNode], start: str) -> None:
    """Raise ChainError if routes and splits lead from a node back to itself."""
    path: dict[str, None] = {}
    finished: set[str] = set()

    def visit(key: str) -> None:
        if key in path:
            raise ChainError(f"detected circular reference: [{' -> '.join((*path, key))}]")
        if key in finished:
            return
        path[key] = None
        # Last first, as Consul's stack does, so that of several circles the same one is named.
        for following in reversed(nodes[key].next_nodes):
            visit(following)
        del path[key]
        finished.add(key)

    visit(start)


def flattened(nodes: Mapping[str, DiscoveryGraphNode]) -> dict[str, DiscoveryGraphNode]:
    """The nodes with every splitter leading straight to resolvers; there must be no circles."""
    flat: dict[str, DiscoveryGraphNode] = {}

    def flatten(key: str) -> DiscoveryGraphNode:
        if key not in flat:
            node = nodes[key]
            if node.type == SPLITTER:
                node = msgspec.structs.replace(
                    node, splits=tuple(inner for split in node.splits for inner in expanded(split))
                )
            flat[key] = node
        return flat[key]

    def expanded(split: DiscoverySplit) -> Iterable[DiscoverySplit]:
        following = flatten(split.next_node)
        return shares_of(split.weight, following.splits) if following.type == SPLITTER else (split,)

    for key in nodes:
        flatten(key)
    return flat


def shares_of(weight: float, splits: tuple[DiscoverySplit, ...]) -> tuple[DiscoverySplit, ...]:
    """`weight` divided as `splits` divide 100, in hundredths that add up to it exactly.

    What rounding down leaves over goes to those that lost most, the first among equals.
    """
    exact = [weight * split.weight for split in splits]
    hundredths = [floor(share + 1e-6) for share in exact]
    left_over = round(weight * 100) - sum(hundredths)
    losers = sorted(range(len(splits)), key=lambda place: hundredths[place] - exact[place])
    for place in losers[: max(0, left_over)]:
        hundredths[place] += 1
    return tuple(
        DiscoverySplit(share / 100, split.next_node) for share, split in zip(hundredths, splits, strict=True)
    )


def reachable(nodes: Mapping[str, DiscoveryGraphNode], start: str) -> dict[str, DiscoveryGraphNode]:
    """The nodes that some connection passes through."""
    found: dict[str, DiscoveryGraphNode] = {}
    waiting = [start]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found[key] = nodes[key]
            waiting.extend(nodes[key].next_nodes)
    return found


def targets_of(nodes: Iterable[DiscoveryGraphNode]) -> tuple[str, ...]:
    """The ids of the targets that these nodes resolve or fail over to, each once."""
    ids: dict[str, None] = {}
    for node in nodes:
        if node.resolver is not None:
            ids[node.resolver.target] = None
            ids |= dict.fromkeys(node.resolver.failover.targets if node.resolver.failover else ())
    return tuple(ids)
