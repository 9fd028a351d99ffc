"""Brings the server's configuration entries in step with one custom resource at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import quote

import structlog
from lightkube import ApiError, AsyncClient
from lightkube.types import PatchType

from pellucid.kube.controllers.config_entries.conversion import entry_of, shown_entry
from pellucid.kube.controllers.config_entries.decision import (
    EXTERNALLY_MANAGED,
    FALSE,
    FINALIZER,
    INVALID,
    IS_SYNCED,
    SERVER_ERROR,
    UNKNOWN,
    Condition,
    Decision,
    condition_of,
    decide,
    decide_leaving,
    status_patch,
)
from pellucid.kube.controllers.config_entries.kinds import CustomKind
from pellucid.kube.controllers.config_entries.observed import Resource, resource_of
from pellucid.kube.controllers.config_entries.settings import ControllerSettings
from pellucid.kube.controllers.informer import Copy
from pellucid.kube.server_client import ServerClient, ServerRefused, ServerUnavailable
from pellucid.model.config_entries import ConfigEntry, to_json_object
from pellucid.model.decoding import DecodeError

BY_ENTRY = "entry"
READING = "getting config entry from consul"

log = structlog.get_logger("pellucid.kube.config_entries")


class NotSynced(Exception):
    """The server does not take what a resource says; it is to be tried again."""


def resources_by_entry() -> Copy[Resource]:
    """A copy of the resources of one kind that finds them by the entry they stand for."""
    return Copy({BY_ENTRY: lambda resource: (resource.entry_name,)})


class Reconciler:
    """Looks at resources. tell(resource, condition): called with what is so once it is looked at."""

    def __init__(
        self,
        client: AsyncClient,
        server: ServerClient,
        settings: ControllerSettings,
        resources: dict[str, Copy[Resource]],
        *,
        tell: Callable[[Resource, Condition], object],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """resources: copies by the name of their kind."""
        self._client = client
        self._server = server
        self._settings = settings
        self._resources = resources
        self._tell = tell
        self._now = now

    async def look_at(self, kind: CustomKind, key: tuple[str, str]) -> bool:
        """Have the server hold what a resource says, and the resource say that it does.

        Returns whether an entry was written. Raises NotSynced, ServerUnavailable and what the Kubernetes
        client raises.
        """
        resource = self._resources[kind.name].get(key)
        if resource is None:
            return False
        if resource.is_leaving:
            if resource.has_finalizer:
                await self._let_go(resource)
            return False
        if not resource.has_finalizer:
            resource = await self._set_finalizers(resource, (*resource.finalizers, FINALIZER))
        return await self._sync(resource)

    async def report_waiting(self, kind: CustomKind, key: tuple[str, str], away: ServerUnavailable) -> None:
        """Have a resource that is to be looked at say that the server is away.

        Raises what the Kubernetes client raises.
        """
        resource = self._resources[kind.name].get(key)
        if resource is not None and self._older_rival(resource) is None:
            await self._report(resource, Condition(FALSE, SERVER_ERROR, f"{READING}: {away}"))

    async def _sync(self, resource: Resource) -> bool:
        if rival := self._older_rival(resource):
            same = f'the resource "{rival.namespace}/{rival.name}" stands for the same config entry'
            await self._report(resource, Condition(FALSE, EXTERNALLY_MANAGED, same))
            return False
        try:
            entry = entry_of(resource.kind, resource.entry_name, resource.spec, self._settings.datacenter)
        except DecodeError as error:
            await self._report(resource, Condition(FALSE, INVALID, str(error)))
            return False
        found = await self._found(resource)
        decision = decide(entry, found, migrates=resource.migrates)
        if decision.write:
            await self._write(resource, entry, decision)
        await self._report(resource, decision.condition, synced_now=decision.write)
        return decision.write

    async def _let_go(self, resource: Resource) -> None:
        if self._older_rival(resource) is None:
            found = await self._found(resource)
            if decide_leaving(found, self._settings.datacenter).delete:
                try:
                    await self._server.delete(_path(resource))
                except ServerRefused as error:
                    await self._failed(resource, FALSE, f"deleting config entry from consul: {error}")
                log.info("deleted", kind=resource.kind.name, name=resource.entry_name)
        others = tuple(name for name in resource.finalizers if name != FINALIZER)
        try:
            await self._set_finalizers(resource, others)
        except ApiError as error:
            if error.status.code != HTTPStatus.NOT_FOUND:
                raise

    def _older_rival(self, resource: Resource) -> Resource | None:
        """Another resource for the same entry that was there before; the webhook lets none come about."""
        rivals = self._resources[resource.kind.name].under(BY_ENTRY, resource.entry_name)
        older = (rival for rival in rivals if rival.age < resource.age and not rival.is_leaving)
        return min(older, key=lambda rival: rival.age, default=None)

    async def _found(self, resource: Resource) -> ConfigEntry | None:
        try:
            answer = await self._server.get_if_found(_path(resource))
            return None if answer is None else shown_entry(answer)
        except (ServerRefused, DecodeError) as error:
            await self._failed(resource, FALSE, f"{READING}: {error}")

    async def _write(self, resource: Resource, entry: ConfigEntry, decision: Decision) -> None:
        try:
            await self._server.put("/v1/config", to_json_object(entry))
        except ServerRefused as error:
            if decision.is_update:
                await self._failed(resource, UNKNOWN, f"updating config entry in consul: {error}")
            await self._failed(resource, FALSE, f"writing config entry to consul: {error}")
        log.info("written", kind=resource.kind.name, name=resource.entry_name)

    async def _failed(self, resource: Resource, status: str, message: str) -> NoReturn:
        """Raises NotSynced, once the resource says so."""
        await self._report(resource, Condition(status, SERVER_ERROR, message))
        raise NotSynced(message)

    async def _report(self, resource: Resource, condition: Condition, *, synced_now: bool = False) -> None:
        self._tell(resource, condition)
        if condition_of(resource.status) == condition and not synced_now:
            return
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        succeeded = condition == IS_SYNCED
        patch = status_patch(resource.status, condition, now, synced_now=succeeded)
        await self._client.patch(
            resource.kind.resource.Status,
            resource.name,
            {"status": patch},
            namespace=resource.namespace,
            patch_type=PatchType.MERGE,
        )

    async def _set_finalizers(self, resource: Resource, finalizers: tuple[str, ...]) -> Resource:
        """Only if nobody wrote the resource since we saw it. Returns it as it is now."""
        patch: dict[str, Any] = {
            "metadata": {"finalizers": list(finalizers), "resourceVersion": resource.version}
        }
        changed = await self._client.patch(
            resource.kind.resource,
            resource.name,
            patch,
            namespace=resource.namespace,
            patch_type=PatchType.MERGE,
        )
        return resource_of(resource.kind, changed)


def _path(resource: Resource) -> str:
    return f"/v1/config/{resource.kind.entry.kind}/{quote(resource.entry_name, safe='')}"
