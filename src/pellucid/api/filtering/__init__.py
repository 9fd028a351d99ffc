"""The filter language of `?filter=`: text to a predicate over the objects of a reply.

`parser` reads an expression into `syntax`; `evaluation` checks it against the reply's fields
(`fields`) and compiles it. An expression that names no such field, or compares it in a way its type
does not allow, is refused before any object is looked at.

Source: Consul 1.10 docs, "API Features - Filtering"; github.com/hashicorp/go-bexpr 0.1.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from pellucid.api.filtering.evaluation import compile_expression
from pellucid.api.filtering.fields import Record
from pellucid.api.filtering.parser import parse
from pellucid.api.filtering.syntax import FilterError
from pellucid.api.response import HttpError

Predicate = Callable[[Mapping[str, Any]], bool]

__all__ = ["FilterError", "Predicate", "filtered", "predicate"]


@lru_cache(maxsize=512)
def predicate(expression: str, record: Record) -> Predicate:
    """The test an expression stands for. Raises FilterError."""
    return compile_expression(parse(expression), record)


def filtered(
    expression: str, record: Record, objects: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The objects that an expression selects; all of them when it is empty.

    Raises HttpError 500 with Consul's text for an expression that cannot be used.
    """
    if not expression:
        return list(objects)
    try:
        selects = predicate(expression, record)
    except FilterError as error:
        raise HttpError(500, f"Failed to create boolean expression evaluator: {error}") from error
    return [item for item in objects if selects(item)]
