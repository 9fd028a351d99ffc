"""Quantities such as `100m`, `1.5`, `64Mi`: their value, and what is said of a text that is none.

Source: Kubernetes API reference, Quantity; apimachinery's pkg/api/resource.
"""

from __future__ import annotations

import re
from fractions import Fraction

_SHAPE = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")
_EXPONENT = re.compile(r"[eE][+-]?[0-9]+")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
LARGEST_EXPONENT = 30
"""Beyond what any suffix can say; a larger one is only there to cost time."""


class QuantityError(ValueError):
    """The text is no quantity, in the words of the API."""


def quantity(text: str) -> Fraction:
    """The value of a quantity. Raises QuantityError."""
    matched = _SHAPE.fullmatch(text)
    if matched is None or not _NUMBER.fullmatch(matched[1]):
        raise QuantityError(f"quantities must match the regular expression '^{_SHAPE.pattern}$'")
    number, suffix = Fraction(matched[1]), str(matched[2])
    if suffix in _BINARY:
        return number * Fraction(1024 ** _BINARY[suffix])
    if suffix in _DECIMAL:
        return Fraction(number * Fraction(10) ** _DECIMAL[suffix])
    if _EXPONENT.fullmatch(suffix) and abs(int(suffix[1:])) <= LARGEST_EXPONENT:
        return Fraction(number * Fraction(10) ** int(suffix[1:]))
    raise QuantityError("unable to parse quantity's suffix")


def canonical(text: str) -> str:
    """A quantity as the API shows it: `500m` for `0.5`, `1Gi` for `1024Mi`. Raises QuantityError.

    No fraction, the largest suffix that allows that, the family of suffixes as given; below a billionth is
    rounded up. Source: Quantity.CanonicalizeBytes in apimachinery's pkg/api/resource.
    """
    value = quantity(text)
    matched = _SHAPE.fullmatch(text)
    suffix = matched[2] if matched else ""
    if suffix in _BINARY and abs(value) >= 1024 and value.denominator == 1:
        number, power = int(value), 0
        while number % 1024 == 0 and power < len(_BINARY):
            number, power = number // 1024, power + 1
        return f"{number}{['', *_BINARY][power]}"
    nano = value * 10**9
    number, power = -(-nano.numerator // nano.denominator), -9
    while number and number % 1000 == 0 and power < 18:
        number, power = number // 1000, power + 3
    if not number:
        return "0"
    if _EXPONENT.fullmatch(suffix):
        return f"{number}e{power}" if power else str(number)
    return f"{number}{next(name for name, one in _DECIMAL.items() if one == power)}"
