"""Quantities counted in units."""

from __future__ import annotations

import math

from pellucid.localkube.types.quantities import quantity


def quantity_in(text: str, unit: str) -> int:
    """How many of `unit` it is, rounded up. Raises ValueError."""
    return math.ceil(quantity(text) / quantity(unit))
