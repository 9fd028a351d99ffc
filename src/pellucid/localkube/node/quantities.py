"""Kubernetes quantities such as `100m`, `1.5`, `64Mi`. Pure.

Source: Kubernetes API reference, Quantity.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_FORM = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([A-Za-z]*))")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(text: str) -> Fraction:
    """Raises ValueError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    number, exponent, suffix = match.groups()
    value = Fraction(number + (exponent or ""))
    if suffix in _BINARY:
        return value * Fraction(1024 ** _BINARY[suffix])
    if (suffix or "") not in _DECIMAL:
        raise ValueError(f"{text!r} has an unknown suffix")
    return Fraction(value * Fraction(10) ** _DECIMAL[suffix or ""])


def quantity_in(text: str, unit: str) -> int:
    """How many of `unit` it is, rounded up. Raises ValueError."""
    return math.ceil(quantity(text) / quantity(unit))
