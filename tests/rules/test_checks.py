"""Which check definitions are well formed."""

from __future__ import annotations

import pytest

from pellucid.model.definitions import CheckType
from pellucid.model.durations import SECOND
from pellucid.rules.checks import check_error


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (CheckType(ttl=SECOND), None),
        (CheckType(http="http://x", interval=SECOND), None),
        (CheckType(grpc="x:1", interval=SECOND), None),
        (CheckType(args=("true",), interval=SECOND), None),
        (CheckType(alias_service="web"), None),
        (CheckType(), "TTL must be > 0 for TTL checks"),
        (CheckType(interval=SECOND), "TTL must be > 0 for TTL checks"),
        (CheckType(tcp="x:1", interval=SECOND, ttl=SECOND), "Interval and TTL cannot both be specified"),
        (CheckType(tcp="x:1"), "Interval must be > 0 for Script, HTTP, H2PING, or TCP checks"),
        (CheckType(h2ping="x:1"), "Interval must be > 0 for Script, HTTP, H2PING, or TCP checks"),
        (
            CheckType(tcp="x:1", interval=SECOND, alias_service="web"),
            "Interval cannot be set for Alias checks",
        ),
        (CheckType(alias_service="web", ttl=SECOND), "TTL must be not be set for Alias checks"),
        (CheckType(ttl=SECOND, output_max_size=-1), "MaxOutputMaxSize must be positive"),
    ],
)
def test_check_error(check: CheckType, error: str | None) -> None:
    assert check_error(check) == error
