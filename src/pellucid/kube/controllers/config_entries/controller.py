"""The custom resource controller at work: informers feed a queue, one worker looks at resources in turn.

While the server is away, resources that are to be looked at say so in their status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

import httpx2
import structlog
from lightkube import AsyncClient

from pellucid.foundation.work_queue import WorkQueue
from pellucid.kube.controllers.config_entries.decision import IS_SYNCED, Condition
from pellucid.kube.controllers.config_entries.kinds import BY_NAME, KINDS, CustomKind
from pellucid.kube.controllers.config_entries.observed import Resource, resource_of
from pellucid.kube.controllers.config_entries.reconciler import (
    BY_ENTRY,
    NotSynced,
    Reconciler,
    resources_by_entry,
)
from pellucid.kube.controllers.config_entries.settings import ControllerSettings
from pellucid.kube.controllers.informer import Informer, Key
from pellucid.kube.controllers.object_events import NORMAL, EventRecorder
from pellucid.kube.controllers.outage import outage
from pellucid.kube.server_client import ServerClient, ServerUnavailable, reason_of

COMPONENT = "consul-controller"
SYNCED = "Synced"

ResourceKey = tuple[str, str, str]
"""Name of the kind, namespace and name of the resource."""

log = structlog.get_logger("pellucid.kube.config_entries")


async def run(client: AsyncClient, settings: ControllerSettings) -> None:
    """Keep the configuration entries in step with the cluster's custom resources until cancelled."""
    async with aclosing(ServerClient(settings.server)) as server, asyncio.TaskGroup() as tasks:
        for part in ConfigEntryController(client, server, settings).parts():
            tasks.create_task(part)


class ConfigEntryController:
    """The controller's parts, which `run` runs side by side."""

    def __init__(
        self,
        client: AsyncClient,
        server: ServerClient,
        settings: ControllerSettings,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._server = server
        self._settings = settings
        self._sleep = sleep
        self._queue: WorkQueue[ResourceKey] = WorkQueue()
        self._not_synced: dict[ResourceKey, None] = {}
        self._events = EventRecorder(client, COMPONENT, clock=asyncio.get_running_loop().time)
        self._informers: dict[str, Informer[Resource]] = {
            kind.name: Informer(
                client,
                kind.resource,
                resources_by_entry(),
                partial(resource_of, kind),
                partial(self._changed, kind),
            )
            for kind in KINDS
        }
        copies = {name: informer.copy for name, informer in self._informers.items()}
        self._reconciler = Reconciler(client, server, settings, copies, tell=self._tell)

    def parts(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What is to run until it is cancelled."""
        followed = (informer.run() for informer in self._informers.values())
        return *followed, self._events.run(), self._compare(), self._work()

    def _changed(self, kind: CustomKind, key: Key, before: Resource | None, after: Resource | None) -> None:
        self._queue.add((kind.name, *key))
        if before is not None and after is None:
            self._events.forget(before.subject)
            # Others may have waited for it to be gone.
            for other in self._informers[kind.name].copy.under(BY_ENTRY, before.entry_name):
                self._queue.add((kind.name, *other.key))

    async def _compare(self) -> None:
        """Look at every resource now and then: somebody may have changed the entry."""
        while True:
            await self._sleep(self._settings.full_comparison_s)
            self._add_everything()

    def _add_everything(self) -> None:
        for name, informer in self._informers.items():
            for key in informer.copy:
                self._queue.add((name, *key))

    async def _work(self) -> None:
        for informer in self._informers.values():
            await informer.synced.wait()
        while True:
            key = await self._queue.get()
            kind, namespace, name = key
            try:
                wrote = await self._reconciler.look_at(BY_NAME[kind], (namespace, name))
            except ServerUnavailable as away:
                self._queue.add(key)
                await self._outlast(away)
            except NotSynced as problem:
                log.warning("not synced", resource=key, reason=str(problem))
                self._not_synced[key] = None
                self._queue.failed(key)
            except Exception:
                # One odd resource must not keep the others waiting.
                log.exception("a resource could not be looked at", resource=key)
                self._queue.failed(key)
            else:
                self._queue.succeeded(key)
                self._not_synced.pop(key, None)
                if wrote:
                    self._try_others_again()

    async def _outlast(self, away: ServerUnavailable) -> None:
        """Wait until the server answers, and have the resources that wait with us say why."""
        async for reason in outage(self._server, away, sleep=self._sleep):
            for key in self._queue:
                await self._tell_waiting(key, reason)
        self._add_everything()

    async def _tell_waiting(self, key: ResourceKey, away: ServerUnavailable) -> None:
        kind, namespace, name = key
        try:
            await self._reconciler.report_waiting(BY_NAME[kind], (namespace, name), away)
        except (httpx2.HTTPError, OSError) as error:
            log.warning("a resource does not say what it waits for", resource=key, reason=reason_of(error))

    def _try_others_again(self) -> None:
        """An entry may be what others waited for: a route needs a protocol, say."""
        for key in self._not_synced:
            self._queue.add(key)

    def _tell(self, resource: Resource, condition: Condition) -> None:
        if condition != IS_SYNCED:
            self._events.tell(resource.subject, condition.reason, condition.message)
        elif self._events.last_told(resource.subject) not in (None, SYNCED):
            self._events.tell(resource.subject, SYNCED, "the mesh has what the resource says", kind=NORMAL)
