"""Pods that ask for a sidecar and have none are told so.

They were created before there was an injector, or while none answered and the cluster does not insist. Such a
pod runs on outside the mesh, and nothing about it looks wrong; an Event says it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import structlog
from lightkube import ALL_NS, AsyncClient, operators

from pellucid.kube.annotations import CONNECT_INJECT, CONNECT_INJECT_STATUS, InvalidAnnotationError
from pellucid.kube.controllers.endpoints.observed import PodObject
from pellucid.kube.controllers.informer import CHUNK
from pellucid.kube.controllers.object_events import EventRecorder, Subject
from pellucid.kube.injector.decision import wants_sidecar
from pellucid.kube.injector.settings import InjectorSettings
from pellucid.kube.pods import Object
from pellucid.kube.server_client import reason_of

COMPONENT = "consul-connect-injector"
NOT_INJECTED = "NotInjected"
MESSAGE = (
    "the pod asks for a sidecar and has none: no injector was there when it was created. Delete it; what "
    "made it makes another, with a sidecar"
)
LOOK_AGAIN_S = 300.0

_ENDED = ("Succeeded", "Failed")

log = structlog.get_logger("pellucid.kube.injector")


async def tell_overlooked(
    client: AsyncClient,
    settings: InjectorSettings,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Look at all pods now and then, until cancelled."""
    events = EventRecorder(client, COMPONENT, clock=asyncio.get_running_loop().time)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(events.run())
        while True:
            try:
                await _look(client, settings, events)
            except (httpx2.HTTPError, OSError) as error:
                log.warning("pods without a sidecar are not looked for", reason=reason_of(error))
            await sleep(LOOK_AGAIN_S)


def is_overlooked(pod: Object, settings: InjectorSettings) -> bool:
    """True for a pod that says itself that it wants a sidecar, and lives without."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    asks = CONNECT_INJECT in (metadata.get("annotations") or {})
    if not asks or metadata.get("deletionTimestamp") or status.get("phase") in _ENDED:
        return False
    try:
        return wants_sidecar(pod, metadata.get("namespace", ""), settings)
    except InvalidAnnotationError:
        return False


async def _look(client: AsyncClient, settings: InjectorSettings, events: EventRecorder) -> None:
    without: dict[str, Any] = {CONNECT_INJECT_STATUS: operators.not_exists()}
    async for pod in client.list(PodObject, namespace=ALL_NS, chunk_size=CHUNK, labels=without):
        if is_overlooked(pod, settings):
            metadata = pod["metadata"]
            subject = Subject("v1", "Pod", metadata["namespace"], metadata["name"], metadata["uid"])
            events.tell(subject, NOT_INJECTED, MESSAGE)
