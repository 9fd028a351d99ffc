"""Notices that objects of some kinds changed; changes that come together are one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.types.kinds import Resource


async def changes_of(resources: Resources, kinds: Sequence[Resource]) -> AsyncGenerator[None, None]:
    """Once at the start, then after every change or burst of changes. Never ends."""
    changed = asyncio.Event()
    changed.set()
    watching = [asyncio.ensure_future(_watch(resources, kind, changed)) for kind in kinds]
    try:
        while True:
            await changed.wait()
            changed.clear()
            yield
    finally:
        for task in watching:
            task.cancel()


async def _watch(resources: Resources, kind: Resource, changed: asyncio.Event) -> None:
    while True:
        try:
            async for _ in resources.watch(kind):
                changed.set()
        except ApiError as problem:
            if problem.code != 410:
                raise
        changed.set()
