"""A watch as a stream of JSON lines."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pellucid.localkube.api.selectors import object_test
from pellucid.localkube.api.status import ApiError, bad_request
from pellucid.localkube.api.store import Resources
from pellucid.localkube.api.watches import Event, bookmark, error_event
from pellucid.localkube.http.connection import Request
from pellucid.localkube.http.requests import Target

Object = dict[str, Any]

BOOKMARK_SECONDS = 60.0
LONGEST_SECONDS = (1800.0, 3600.0)
"""Between which a watch that names no end is ended."""


def check_watch(target: Target, request: Request) -> None:
    """Whether the watch can be begun at all. Raises ApiError 400."""
    _since(request)
    object_test(target.resource, request.parameter("labelSelector"), _field_selector(target, request))


async def watch_lines(
    resources: Resources, target: Target, request: Request, line: Callable[[Event], Awaitable[bytes]]
) -> AsyncIterator[bytes]:
    """The events asked for, one JSON object a line. line: an event as the client takes it."""
    try:
        async for event in _events(resources, target, request):
            yield await line(event)
    except ApiError as error:
        yield error_event(error).line


async def _events(resources: Resources, target: Target, request: Request) -> AsyncIterator[Event]:
    since = _since(request)
    selectors = {
        "label_selector": request.parameter("labelSelector"),
        "field_selector": _field_selector(target, request),
    }
    if request.flag("sendInitialEvents"):
        since, present = resources.select(target.resource, target.namespace, **selectors)
        for one in present:
            yield Event("ADDED", one)
        yield bookmark(target.resource, since, initial_end=True)
    events = resources.watch(target.resource, target.namespace, since=since, **selectors)
    async for event in _until(events, _seconds(request)):
        if event is not None:
            yield event
        elif request.flag("allowWatchBookmarks"):
            yield bookmark(target.resource, resources.revision)


async def _until(events: AsyncIterator[Event], seconds: float) -> AsyncIterator[Event | None]:
    """Events until the time is over, and None whenever nothing happened for a while."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    upcoming = asyncio.ensure_future(anext(events, None))
    try:
        while (left := end - loop.time()) > 0:
            await asyncio.wait((upcoming,), timeout=min(left, BOOKMARK_SECONDS))
            if not upcoming.done():
                if end - loop.time() > 0:
                    yield None
                continue
            event = upcoming.result()
            if event is None:
                return
            yield event
            upcoming = asyncio.ensure_future(anext(events, None))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()


def _since(request: Request) -> int:
    text = request.parameter("resourceVersion", "0") or "0"
    if not text.isdigit():
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise bad_request(f'resourceVersion: Invalid value: "{text}": {why}')
    return int(text)


def _seconds(request: Request) -> float:
    text = request.parameter("timeoutSeconds")
    return float(text) if text.isdigit() and int(text) else random.uniform(*LONGEST_SECONDS)  # noqa: S311


def _field_selector(target: Target, request: Request) -> str:
    stated = request.parameter("fieldSelector")
    if not target.name:
        return stated
    named = f"metadata.name={target.name}"
    return f"{stated},{named}" if stated else named
