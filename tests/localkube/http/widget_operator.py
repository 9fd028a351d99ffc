"""A small operator, run by `kopf run` in the test beside it."""

from __future__ import annotations

from typing import Any

import kopf


@kopf.on.create("example.com", "v1", "widgets")  # type: ignore[arg-type,unused-ignore]
def made(spec: Any, patch: Any, **_: Any) -> None:
    patch.status["seen"] = spec["size"]
