"""What is done before the chart is uninstalled: custom resources go while somebody is there to let them go.

A resource has a finalizer until its configuration entry is gone. Were the controller removed first, neither
the resources nor their definitions could ever be deleted. Whatever the controller does not let go in time
loses its finalizer here, after the webhook, which might refuse that, is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

import structlog
from lightkube import ALL_NS, ApiError, AsyncClient
from lightkube.resources.admissionregistration_v1 import MutatingWebhookConfiguration
from lightkube.types import PatchType

from pellucid.kube.controllers.config_entries.decision import FINALIZER
from pellucid.kube.controllers.config_entries.kinds import KINDS, CustomKind
from pellucid.kube.controllers.informer import key_of

LET_GO_WITHIN_S = 30.0
LOOK_AGAIN_S = 0.5

log = structlog.get_logger("pellucid.kube.config_entries")


async def delete_custom_resources(
    client: AsyncClient,
    webhook_configuration: str,
    *,
    patience_s: float = LET_GO_WITHIN_S,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> int:
    """Delete every custom resource of the mesh. Returns how many the controller did not let go."""
    async for kind, item in _resources(client):
        namespace, name = key_of(item)
        await _unless_gone(client.delete(kind.resource, name, namespace=namespace))
    for _ in range(round(patience_s / LOOK_AGAIN_S)):
        if not [item async for item in _resources(client)]:
            return 0
        await sleep(LOOK_AGAIN_S)
    await _unless_gone(client.delete(MutatingWebhookConfiguration, webhook_configuration))
    return await _release(client)


async def _release(client: AsyncClient) -> int:
    """Let every resource go that is left. Returns how many these are."""
    released = 0
    async for kind, item in _resources(client):
        others = [one for one in item["metadata"].get("finalizers") or () if one != FINALIZER]
        patch = {"metadata": {"finalizers": others}}
        namespace, name = key_of(item)
        await _unless_gone(
            client.patch(kind.resource, name, patch, namespace=namespace, patch_type=PatchType.MERGE)
        )
        log.warning("released without the controller", kind=kind.name, namespace=namespace, name=name)
        released += 1
    return released


async def _resources(client: AsyncClient) -> AsyncIterator[tuple[CustomKind, Any]]:
    for kind in KINDS:
        try:
            listed = [item async for item in client.list(kind.resource, namespace=ALL_NS)]
        except ApiError as error:
            if error.status.code != HTTPStatus.NOT_FOUND:
                raise
            continue
        for item in listed:
            yield kind, item


async def _unless_gone(request: Awaitable[object]) -> None:
    try:
        await request
    except ApiError as error:
        if error.status.code != HTTPStatus.NOT_FOUND:
            raise
