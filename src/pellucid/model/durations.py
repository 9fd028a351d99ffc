"""Durations as Go writes and reads them: `10s`, `1h30m`, `250ms`.

A duration is an integer number of nanoseconds in the range of a signed 64-bit integer.
Two annotations say how a field appears in JSON, since Consul is not of one mind about it:
`Duration` is written as text, `Nanoseconds` as a number. Both are read from either form.

Source: Go standard library, package `time` (ParseDuration, Duration.String).
"""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from msgspec import Meta

from pellucid.model.go_text import quote

Duration: TypeAlias = Annotated[int, Meta(extra={"duration": "text"})]
"""Nanoseconds, written in JSON as text (`"15s"`)."""

Nanoseconds: TypeAlias = Annotated[int, Meta(extra={"duration": "number"})]
"""Nanoseconds, written in JSON as a number."""

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_UNITS = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,  # U+00B5, the micro sign
    "μs": MICROSECOND,  # U+03BC, the Greek letter
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_LIMIT = 1 << 63
_MOST_DIGITS = 19
"""A 64-bit integer has no more; further decimals are below a nanosecond."""
_TERM = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>[^0-9.]*)")


class DurationError(ValueError):
    """The text is not a duration; `str()` is Go's message."""


def parse_duration(text: str) -> int:
    """Read a duration: a sign, then numbers with units, such as `-1.5h` or `1m30s`; `0` needs no unit.

    Returns nanoseconds. Raises DurationError.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not rest:
        raise DurationError(f"time: invalid duration {quote(text)}")
    total = 0
    while rest:
        nanoseconds, rest = _first_term(rest, text)
        total += nanoseconds
        if total >= _LIMIT:
            raise DurationError(f"time: invalid duration {quote(text)}")
    return sign * total


def _first_term(rest: str, text: str) -> tuple[int, str]:
    """The nanoseconds of the first number-with-unit of `rest`, and what follows it."""
    match = _TERM.match(rest)
    if match is None or not (match["whole"] or match["fraction"]) or len(match["whole"]) > _MOST_DIGITS:
        raise DurationError(f"time: invalid duration {quote(text)}")
    unit = match["unit"]
    if not unit:
        raise DurationError(f"time: missing unit in duration {quote(text)}")
    if unit not in _UNITS:
        raise DurationError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
    fraction = (match["fraction"] or "")[:_MOST_DIGITS]
    part = int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
    return int(match["whole"] or "0") * _UNITS[unit] + part, rest[match.end() :]


def format_duration(nanoseconds: int) -> str:
    """Write a duration as Go does: `1h0m5s`, `300ms`, `1.5µs`, `0s`."""
    if nanoseconds < 0:
        return "-" + format_duration(-nanoseconds)
    if nanoseconds == 0:
        return "0s"
    if nanoseconds < SECOND:
        unit = next(name for name in ("ms", "µs", "ns") if nanoseconds >= _UNITS[name])
        return f"{_decimal(nanoseconds, _UNITS[unit])}{unit}"
    minutes, seconds = divmod(nanoseconds, MINUTE)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(seconds, SECOND)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def _decimal(nanoseconds: int, unit: int) -> str:
    """`nanoseconds` in `unit`s, with as many decimals as it takes and no more."""
    whole, rest = divmod(nanoseconds, unit)
    if not rest:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0")
