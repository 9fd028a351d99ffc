"""Check definitions for tests."""

from __future__ import annotations

from pellucid.model.checks import CheckDefinition

SECOND = 1_000_000_000


def check(check_id: str = "web", **fields: object) -> CheckDefinition:
    """A check of service `web` on node `n1`, every 10 s unless told otherwise."""
    defaults: dict[str, object] = {"node": "n1", "service_id": "web", "interval_ns": 10 * SECOND}
    return CheckDefinition(check_id=check_id, **{**defaults, **fields})  # type: ignore[arg-type]
