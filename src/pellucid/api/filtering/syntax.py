"""Filter expressions as values, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FilterError(ValueError):
    """The expression cannot be used; `str()` says why in Consul's words."""


class Operator(StrEnum):
    """How a match compares; the value is the name used in errors. `contains` is `in` turned round."""

    EQUAL = "Equal"
    NOT_EQUAL = "Not Equal"
    IN = "In"
    NOT_IN = "Not In"
    IS_EMPTY = "Is Empty"
    IS_NOT_EMPTY = "Is Not Empty"
    MATCHES = "Matches"
    NOT_MATCHES = "Not Matches"


@dataclass(frozen=True, slots=True)
class Match:
    """One comparison of a field (a path of names and map keys) with a value."""

    selector: tuple[str, ...]
    operator: Operator
    value: str = ""


@dataclass(frozen=True, slots=True)
class Not:
    """True when the operand is not."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class And:
    """True when both sides are."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Or:
    """True when either side is."""

    left: Expression
    right: Expression


Expression = Match | Not | And | Or


def written(expression: Expression) -> str:
    """Text that parses to the same expression."""
    match expression:
        case Or(left, right):
            return f"({written(left)} or {written(right)})"
        case And(left, right):
            return f"({written(left)} and {written(right)})"
        case Not(operand):
            return f"not {written(operand)}"
        case Match(selector, operator, value):
            return _written_match(selector, operator, value)


def _written_match(selector: tuple[str, ...], operator: Operator, value: str) -> str:
    first, *rest = selector
    place = first + "".join(f"[`{part}`]" for part in rest)
    match operator:
        case Operator.IS_EMPTY:
            return f"{place} is empty"
        case Operator.IS_NOT_EMPTY:
            return f"{place} is not empty"
        case Operator.IN:
            return f"`{value}` in {place}"
        case Operator.NOT_IN:
            return f"`{value}` not in {place}"
    symbol = {
        Operator.EQUAL: "==",
        Operator.NOT_EQUAL: "!=",
        Operator.MATCHES: "matches",
        Operator.NOT_MATCHES: "not matches",
    }[operator]
    return f"{place} {symbol} `{value}`"
