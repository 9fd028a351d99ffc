"""What measurements come to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One line of the table."""

    scenario: str
    conditions: str
    """The sizes it was measured at, such as `100 proxies, 20 services`."""
    measure: str
    value: float | None
    """None if it could not be measured; `note` says why."""
    unit: str
    less_is_better: bool = True
    consul: float | None = None
    """What Consul 1.10 needed on a machine like this; not measured in this run."""
    samples: tuple[float, ...] = ()
    """What the value was made of, in the same unit, in the order measured."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than Consul's figure; below 1 is worse."""
        return None if self.consul is None else better(self, self.consul)

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two runs' figures comparable."""
        return self.scenario, self.conditions, self.measure


def better(figure: Figure, other: float) -> float | None:
    """How many times better a figure is than another value of the same unit."""
    if not figure.value or not other:
        return None
    return other / figure.value if figure.less_is_better else figure.value / other


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least this share (0 to 1) of them do not exceed: nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def skipped(scenario: str, why: str) -> Figure:
    """A line that says why there is no figure."""
    return Figure(scenario, "", "skipped", None, "", note=why)
