"""Runs controllers: follows the resources they name, keeps their view, carries out their plans."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from pellucid.foundation.work_queue import WorkQueue
from pellucid.localkube.api.status import ApiError
from pellucid.localkube.api.store import Resources
from pellucid.localkube.controllers.controller import Controller, Trigger
from pellucid.localkube.controllers.events import counted_up, new_event
from pellucid.localkube.controllers.plan import Change, Create, Key, Patch, Plan, Reference, Remove, Say
from pellucid.localkube.controllers.reading import Object, name_of, namespace_of, uid_of, version_of
from pellucid.localkube.controllers.view import View
from pellucid.localkube.types.kinds import (
    CUSTOM_RESOURCE_DEFINITIONS,
    EVENTS,
    Resource,
    custom_resources,
)

logger = logging.getLogger(__name__)

WATCH_RETRY_SECONDS = 0.2


class Loop:
    """All controllers over one view, so each object is followed and kept once."""

    def __init__(
        self,
        resources: Resources,
        controllers: Iterable[Controller],
        followed: Iterable[Resource],
        clock: Callable[[], datetime],
    ) -> None:
        self._resources = resources
        self._controllers = tuple(controllers)
        self._followed = tuple(followed)
        self._clock = clock
        self.view = View()
        self._queues: dict[str, WorkQueue[Key]] = {c.name: WorkQueue() for c in self._controllers}
        self._triggers: dict[tuple[str, str], list[tuple[WorkQueue[Key], Trigger]]] = defaultdict(list)
        for controller in self._controllers:
            for resource, trigger in controller.triggers.items():
                self._triggers[resource.stored].append((self._queues[controller.name], trigger))
        self._everything = [
            (self._queues[controller.name], controller.triggers_any)
            for controller in self._controllers
            if controller.triggers_any is not None
        ]

    async def run(self) -> None:
        """Run until cancelled. An unexpected error of one key is logged and tried again, never fatal."""
        for resource in self._followed:
            self._fill(resource)
        async with asyncio.TaskGroup() as tasks:
            for resource in self._followed:
                tasks.create_task(self._follow(resource))
            tasks.create_task(self._follow_custom(tasks))
            for controller in self._controllers:
                tasks.create_task(self._work(controller))

    def _fill(self, resource: Resource) -> None:
        """Bring the view to what the API lists now."""
        revision, listed = self._resources.select(resource)
        present = {uid_of(item) for item in listed}
        self.view.follow(resource, revision)
        for item in self.view.list(resource):
            if uid_of(item) not in present:
                self._gone(resource, item)
        for item in listed:
            self._seen(resource, item)

    async def _follow(self, resource: Resource) -> None:
        while True:
            try:
                async for event in self._resources.watch(resource, since=self.view.followed_to(resource)):
                    self.view.follow(resource, version_of(event.object))
                    if event.type in ("ADDED", "MODIFIED"):
                        self._seen(resource, event.object)
                    else:
                        self._gone(resource, event.object)
            except ApiError as error:
                logger.info("watch of %s ended: %s", resource.name, error.message)
            await asyncio.sleep(WATCH_RETRY_SECONDS)
            self._fill(resource)

    async def _follow_custom(self, tasks: asyncio.TaskGroup) -> None:
        """Follow the kinds of custom resource definitions, for as long as each is defined."""
        following: dict[tuple[str, str], asyncio.Task[None]] = {}
        async for event in self._resources.watch(CUSTOM_RESOURCE_DEFINITIONS):
            if event.type not in ("ADDED", "MODIFIED", "DELETED"):
                continue
            served = custom_resources(event.object)
            if not served:
                continue
            resource = served[0]
            if event.type == "DELETED":
                task = following.pop(resource.stored, None)
                if task is not None:
                    task.cancel()
                for item in self.view.list(resource):
                    self._gone(resource, item)
            elif resource.stored not in following:
                following[resource.stored] = tasks.create_task(self._follow_one_custom(resource))

    async def _follow_one_custom(self, resource: Resource) -> None:
        while True:
            try:
                self._fill(resource)
                await self._follow(resource)
            except ApiError as error:
                logger.info("cannot follow %s yet: %s", resource.name, error.message)
                await asyncio.sleep(WATCH_RETRY_SECONDS)

    def _seen(self, resource: Resource, item: Object) -> None:
        before = self.view.get(resource, namespace_of(item), name_of(item))
        if self.view.put(resource, item):
            if before is not None:
                self._wake(resource, before)
            self._wake(resource, item)

    def _answered(self, resource: Resource, item: Object) -> None:
        """Take a write's answer, unless the watch has already told of its object's end."""
        known = self.view.get(resource, namespace_of(item), name_of(item))
        if known is not None or version_of(item) > self.view.followed_to(resource):
            self._seen(resource, item)

    def _gone(self, resource: Resource, item: Object) -> None:
        if self.view.drop(resource, item):
            self._wake(resource, item)

    def _wake(self, resource: Resource, item: Object) -> None:
        for queue, trigger in self._triggers.get(resource.stored, ()):
            for key in trigger(self.view, item):
                queue.add(key)
        for queue, trigger in self._everything:
            for key in trigger(self.view, item):
                queue.add(key)

    async def _work(self, controller: Controller) -> None:
        queue = self._queues[controller.name]
        while True:
            key = await queue.get()
            try:
                plan = controller.reconcile(self.view, key, self._clock())
                await self._carry_out(plan)
            except ApiError as error:
                logger.info("%s %s/%s: %s", controller.name, key.namespace, key.name, error.message)
                await self._note_refusal(controller, key, error)
                queue.failed(key)
                continue
            except Exception:
                logger.exception("%s %s/%s", controller.name, key.namespace, key.name)
                queue.failed(key)
                continue
            queue.succeeded(key)
            if plan.again_after is not None:
                queue.add_after(key, max(plan.again_after, 0.0))

    async def _note_refusal(self, controller: Controller, key: Key, error: ApiError) -> None:
        try:
            for change in controller.refused(self.view, key, error, self._clock()):
                await self._apply(change)
        except ApiError as second:
            logger.info("%s %s/%s: %s", controller.name, key.namespace, key.name, second.message)

    async def _carry_out(self, plan: Plan) -> None:
        for change in plan.changes:
            await self._apply(change)

    async def _apply(self, change: Change) -> None:
        match change:
            case Create():
                await self._create(change)
            case Patch():
                await self._patch(change)
            case Remove():
                await self._remove(change)
            case Say():
                await self._say(change)

    async def _create(self, change: Create) -> None:
        try:
            made = await self._resources.create(change.resource, namespace_of(change.item), change.item)
        except ApiError as error:
            if change.quietly and error.reason == "AlreadyExists":
                return
            raise
        self._answered(change.resource, made)
        if change.then is not None:
            await self._say(replace(change.then, message=change.then.message.format(name=name_of(made))))

    async def _patch(self, change: Patch) -> None:
        try:
            changed = await self._resources.patch(
                change.resource, change.namespace, change.name, change.patch, subresource=change.subresource
            )
        except ApiError as error:
            if error.reason == "NotFound":
                return
            raise
        self._answered(change.resource, changed)

    async def _remove(self, change: Remove) -> None:
        for reference in change.unless:
            if await self._exists(reference):
                return
        try:
            removal = await self._resources.remove(
                change.resource,
                change.namespace,
                change.name,
                propagation=change.propagation,
                grace_seconds=change.grace_seconds,
                uid=change.uid,
            )
        except ApiError as error:
            if error.reason in ("NotFound", "Conflict"):
                return
            raise
        if removal.gone:
            self._gone(change.resource, removal.object)
        else:
            self._answered(change.resource, removal.object)

    async def _exists(self, reference: Reference) -> bool:
        try:
            item = await self._resources.get(reference.resource, reference.namespace, reference.name)
        except ApiError as error:
            if error.reason == "NotFound":
                return False
            raise
        return uid_of(item) == reference.uid

    async def _say(self, change: Say) -> None:
        now = self._clock()
        event = new_event(change, now)
        known = self.view.get(EVENTS, namespace_of(event), name_of(event))
        try:
            if known is None:
                made = await self._resources.create(EVENTS, namespace_of(event), event)
            else:
                made = await self._resources.patch(
                    EVENTS, namespace_of(event), name_of(event), counted_up(known, now)
                )
        except ApiError as error:
            logger.debug("event not recorded: %s", error.message)
            return
        self.view.put(EVENTS, made)
