"""An expression checked against the fields of a reply and made into a predicate.

Source: github.com/hashicorp/go-bexpr 0.1.2 (validate.go, evaluate.go); Consul 1.10 docs, "Filtering".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pellucid.api.filtering.fields import Boolean, Field, Integer, ListOf, MapOf, Record, Text
from pellucid.api.filtering.regular_expressions import compile_pattern
from pellucid.api.filtering.syntax import And, Expression, FilterError, Match, Not, Operator, Or
from pellucid.model.go_text import quote

Test = Callable[[Any], bool]
"""A predicate over a field's value, which is None where the reply leaves an empty field out."""

_NEGATIONS = {
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.NOT_IN: Operator.IN,
    Operator.IS_NOT_EMPTY: Operator.IS_EMPTY,
    Operator.NOT_MATCHES: Operator.MATCHES,
}
_SCALAR = frozenset((Operator.EQUAL, Operator.NOT_EQUAL))
_COLLECTION = frozenset((Operator.IN, Operator.NOT_IN, Operator.IS_EMPTY, Operator.IS_NOT_EMPTY))
_TEXT = frozenset(Operator) - {Operator.IS_EMPTY, Operator.IS_NOT_EMPTY}
_EMPTINESS = frozenset((Operator.IS_EMPTY, Operator.IS_NOT_EMPTY))
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER = re.compile(r"[+-]?[0-9]+")


def compile_expression(expression: Expression, record: Record) -> Test:
    """The predicate over objects with the fields of `record`. Raises FilterError."""
    match expression:
        case Or(left, right):
            first, second = compile_expression(left, record), compile_expression(right, record)
            return lambda item: first(item) or second(item)
        case And(left, right):
            first, second = compile_expression(left, record), compile_expression(right, record)
            return lambda item: first(item) and second(item)
        case Not(operand):
            inner = compile_expression(operand, record)
            return lambda item: not inner(item)
        case Match():
            return _reach(expression, expression.selector, record)


def _reach(match: Match, path: tuple[str, ...], field: Field) -> Test:
    """The test of `match` on whatever `path` leads to from a value of type `field`."""
    if not path:
        return _compare(match, field)
    match field:
        case Record(fields) if path[0] in fields:
            name, inner = path[0], _reach(match, path[1:], fields[path[0]])
            return lambda value: inner((value or {}).get(name))
        case MapOf(item):
            return _at_key(match, path[0], _reach(match, path[1:], item))
        case ListOf(Record() as item):
            inner = _reach(match, path, item)
            return lambda value: any(inner(element) for element in value or ())
    raise FilterError(f"Selector {quote('.'.join(match.selector))} is not valid")


def _at_key(match: Match, key: str, inner: Test) -> Test:
    """A key that is missing equals nothing, is in nothing, and is empty."""
    absent = match.operator in _NEGATIONS and match.operator is not Operator.IS_NOT_EMPTY
    absent = absent or match.operator is Operator.IS_EMPTY

    def at_key(value: Mapping[str, Any] | None) -> bool:
        return inner(value[key]) if value and key in value else absent

    return at_key


def _compare(match: Match, field: Field) -> Test:
    if match.operator not in _operators_of(field):
        raise FilterError(
            f"Invalid match operator {quote(match.operator.value)} "
            f"for selector {quote('.'.join(match.selector))}"
        )
    positive = _positive(match, field)
    if match.operator in _NEGATIONS:
        return lambda value: not positive(value)
    return positive


def _operators_of(field: Field) -> frozenset[Operator]:
    match field:
        case Text():
            return _TEXT
        case Integer() | Boolean():
            return _SCALAR
        case ListOf(Text()) | MapOf():
            return _COLLECTION
        case ListOf():
            return _EMPTINESS
    return frozenset()


def _positive(match: Match, field: Field) -> Test:
    operator, wanted = _NEGATIONS.get(match.operator, match.operator), match.value
    match operator, field:
        case Operator.EQUAL, Text():
            return lambda value: (value or "") == wanted
        case Operator.EQUAL, Integer():
            number = _integer(match)
            return lambda value: (value or 0) == number
        case Operator.EQUAL, _:
            truth = _boolean(match)
            return lambda value: bool(value) is truth
        case Operator.IN, _:
            return lambda value: wanted in (value or _EMPTY[type(field)])
        case Operator.MATCHES, _:
            found = compile_pattern(wanted)
            return lambda value: found(value or "")
    return lambda value: not value


_EMPTY: Mapping[type[Field], Sequence[str]] = {Text: "", ListOf: (), MapOf: ()}


def _integer(match: Match) -> int:
    if not _INTEGER.fullmatch(match.value):
        raise _coercion_error(match, f"strconv.ParseInt: parsing {quote(match.value)}: invalid syntax")
    return int(match.value)


def _boolean(match: Match) -> bool:
    if match.value not in _TRUE | _FALSE:
        raise _coercion_error(match, f"strconv.ParseBool: parsing {quote(match.value)}: invalid syntax")
    return match.value in _TRUE


def _coercion_error(match: Match, reason: str) -> FilterError:
    selector = quote(".".join(match.selector))
    return FilterError(f"Failed to coerce value {quote(match.value)} for selector {selector}: {reason}")
