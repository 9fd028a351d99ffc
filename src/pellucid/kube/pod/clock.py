"""How far the clock here is from that of the server, by which the mesh's certificates begin and end.

A node whose clock is far behind takes no new certificate of its peers, one far ahead none that is old, and
Envoy only counts that. Source: RFC 9110 section 5.6.7 and 6.6.1 (the field Date).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TOLERATED = timedelta(minutes=5)
"""Well within the ten minutes by which certificates are backdated."""
_FORM = "%a, %d %b %Y %H:%M:%S GMT"


def clock_problem(dated: str, now: datetime) -> str:
    """What is wrong with a clock that says `now` when the server dates its answer so; empty if nothing is.

    dated: a field Date; one that is missing or odd says nothing.
    """
    try:
        there = datetime.strptime(dated, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return ""
    away = now - there
    if abs(away) <= TOLERATED:
        return ""
    side = "ahead of" if away > timedelta() else "behind"
    return (
        f"the clock of this node is {_words(abs(away))} {side} the server's; "
        "sidecars refuse each other's certificates when clocks differ by ten minutes or more"
    )


def _words(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
