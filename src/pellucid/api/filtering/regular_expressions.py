"""The patterns of `matches`, kept to those that cannot be made to run for ever.

Consul's engine (RE2) takes time linear in the text; Python's backtracks. So what RE2 does not have
(back-references, look-around) and what makes backtracking explode (a repetition inside a
repetition, many unbounded ones in a row) is refused with a text that says so.

Source: RE2 syntax, github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as sre  # type: ignore[attr-defined]
from typing import Any

from pellucid.api.filtering.syntax import FilterError
from pellucid.model.go_text import quote

MAX_PATTERN = 256
MAX_UNBOUNDED = 3
"""Unbounded repetitions in a pattern; the time grows with the text's length to this power."""
MAX_TEXT = 4_096
"""Characters of a value that are searched."""

_NOT_IN_RE2 = (codes.GROUPREF, codes.GROUPREF_EXISTS, codes.ASSERT, codes.ASSERT_NOT)
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """The search a pattern stands for. Raises FilterError."""
    if len(pattern) > MAX_PATTERN:
        raise _refused(pattern, f"it is longer than {MAX_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = sre.parse(pattern)
            compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise FilterError(f"error parsing regexp: {error}: `{pattern}`") from error
    if _unbounded(pattern, parsed, inside=False) > MAX_UNBOUNDED:
        raise _refused(pattern, f"it has more than {MAX_UNBOUNDED} unbounded repetitions")
    return lambda text: compiled.search(text[:MAX_TEXT]) is not None


def _unbounded(pattern: str, items: Iterable[Any], *, inside: bool) -> int:
    """How many unbounded repetitions there are; refuses one inside another."""
    count = 0
    for code, content in items:
        if code in _NOT_IN_RE2:
            raise _refused(pattern, "look-around and back-references are not supported")
        if code in _REPEATS:
            _, most, body = content
            unbounded = most == codes.MAXREPEAT
            if unbounded and inside:
                raise _refused(pattern, "it has a repetition inside a repetition")
            count += unbounded + _unbounded(pattern, body, inside=inside or most > 1)
        elif code is codes.SUBPATTERN:
            count += _unbounded(pattern, content[-1], inside=inside)
        elif code is codes.BRANCH:
            count += sum(_unbounded(pattern, branch, inside=inside) for branch in content[1])
        elif code is codes.ATOMIC_GROUP:
            count += _unbounded(pattern, content, inside=inside)
    return count


def _refused(pattern: str, reason: str) -> FilterError:
    return FilterError(f"the pattern {quote(pattern)} cannot be used: {reason}")
