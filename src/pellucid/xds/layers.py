"""What is a proxy's own on top of what it shares with others, as one mapping.

A thousand proxies that reach the same thousand upstreams hold one mapping of these, not a thousand
copies; and what changed in it is found out once, not once for each proxy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pellucid.xds.shared import Ref

_COMPARISONS_KEPT = 64


class Layers(Mapping[str, Ref]):
    """`own` on top of `shared`; neither changes any more."""

    __slots__ = ("own", "shared")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, own: Mapping[str, Ref], shared: Mapping[str, Ref]) -> None:
        self.own, self.shared = own, shared

    def __getitem__(self, name: str) -> Ref:
        found = self.own.get(name)
        return self.shared[name] if found is None else found

    def get(self, name: str, default: Any = None) -> Any:
        """The ref of a name, without the cost of an exception when there is none."""
        found = self.own.get(name)
        return self.shared.get(name, default) if found is None else found

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.shared

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from (name for name in self.shared if name not in self.own)

    def __len__(self) -> int:
        return len(self.own) + sum(name not in self.own for name in self.shared)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Layers):
            return not differing(self, other)
        return super().__eq__(other)

    def __repr__(self) -> str:
        return f"Layers({self.own!r}, {len(self.shared)} shared)"


def differing(before: Mapping[str, Ref], now: Mapping[str, Ref]) -> Collection[str]:
    """The names that are in one of the two only, or stand for something else, in a steady order."""
    if not isinstance(before, Layers) or not isinstance(now, Layers):
        return _compared(before, now)
    below = _differing_below(_Same(before.shared), _Same(now.shared))
    suspects = dict.fromkeys((*now.own, *below, *before.own))
    return tuple(name for name in suspects if before.get(name) != now.get(name))


class _Same:
    """A mapping as a key that equals only itself: cheap to look up, and alive as long as it is a key."""

    __slots__ = ("mapping",)

    def __init__(self, mapping: Mapping[str, Ref]) -> None:
        self.mapping = mapping

    def __hash__(self) -> int:
        return id(self.mapping)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.mapping is self.mapping


@lru_cache(_COMPARISONS_KEPT)
def _differing_below(before: _Same, now: _Same) -> tuple[str, ...]:
    return () if before == now else _compared(before.mapping, now.mapping)


def _compared(before: Mapping[str, Ref], now: Mapping[str, Ref]) -> tuple[str, ...]:
    changed = [name for name in now if now[name] != before.get(name)]
    return (*changed, *(name for name in before if name not in now))
